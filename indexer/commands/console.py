"""What commands say: results to standard output, everything else to standard error."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from indexer.progress import Progress, Step

_LINE_SECONDS = 10.0

# The variables of threads and precision are read where they are obeyed, in `indexer.threads` and
# `indexer.runtime.precision`, for the library has no command line; errors there name them.
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processor threads for everything [env var: CLOZE_THREADS; default: all]"
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        envvar="CLOZE_DEVICE",
        help="Where the model runs: auto, cpu or cuda (auto: cuda where there is one)",
    ),
]
Precision: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Number format of the encoder: auto, fp32, bf16 or int8 [env var: CLOZE_PRECISION; "
        "default: the index's; of a new one the fastest here that agrees with fp32]"
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object")]
IndexFolder: TypeAlias = Annotated[str, typer.Argument(metavar="INDEX", help="The index folder")]


def emit(value: Any) -> None:  # noqa: ANN401 - anything that JSON can hold
    """Print a result as one line of JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def tell(text: str) -> None:
    """Print a line of a result for a person."""
    sys.stdout.write(text + "\n")


def notice(text: str) -> None:
    """Print a line that is not the result."""
    sys.stderr.write(text + "\n")


def resolve_device(device: str) -> str:
    """Turn auto into cuda or cpu; torch is asked only where the machine has a CUDA driver."""
    from pathlib import Path

    from indexer.errors import ClozeError

    if device not in ("auto", "cpu", "cuda"):
        raise ClozeError(f"--device is {device!r}; choose auto, cpu or cuda")
    if device != "auto":
        return device
    if not Path("/proc/driver/nvidia").exists():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def progress_bar(
    position: Callable[[], float | None], *, quiet: bool, unit: str = "documents"
) -> "Iterator[Progress]":
    """Show what is done, its rate, the phase and the time left, where a person can see it.

    `position` tells the share of the input that has been read, or None where that can't be known.
    """
    from indexer.progress import silent

    if quiet:
        yield silent
        return
    if not sys.stderr.isatty():
        yield _lines(position, unit)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.fields[phase]:>8}"),
        BarColumn(),
        TextColumn(f"{{task.fields[documents]:,}} {unit}, {{task.fields[rate]:.0f}}/s"),
        TimeRemainingColumn(),
        TextColumn("left, after"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("", total=None, phase="open", documents=0, rate=0.0)

        def show(step: "Step") -> None:
            share = position()
            elapsed = bar.tasks[0].elapsed or 0.0
            bar.update(
                task,
                completed=share,
                total=None if share is None else 1.0,
                phase=step.phase,
                documents=step.documents,
                rate=step.documents / elapsed if elapsed else 0.0,
            )

        yield show


def _lines(position: Callable[[], float | None], unit: str) -> "Progress":
    """Tell the same in a line every ten seconds, for a log."""
    from time import monotonic

    begin = told = monotonic()

    def show(step: "Step") -> None:
        nonlocal told
        now = monotonic()
        if now - told < _LINE_SECONDS:
            return
        told = now
        elapsed, share = now - begin, position()
        left = f", {elapsed / share - elapsed:.0f} s left" if share else ""
        rate = step.documents / elapsed
        notice(f"{step.phase}: {step.documents:,} {unit}, {rate:.0f}/s{left}")

    return show
