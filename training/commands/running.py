"""A run of training on the command line: its budget, its bar, and how it ends."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from indexer.commands.console import notice, resolve_device, tell

if TYPE_CHECKING:
    from training.finetuning.budget import Epochs
    from training.loop.meter import Glance, Show
    from training.loop.parts import Part
    from training.loop.schedule import Budget
    from training.running import Trained

Out: TypeAlias = Annotated[
    str, typer.Option(metavar="DIR", help="The run's folder; the same command goes on there")
]
Precision: TypeAlias = Annotated[str, typer.Option(help="auto, fp32 or bf16")]
TextBudget: TypeAlias = Annotated[
    str | None, typer.Option(help="Time of training alone: 3m, 2h [default: 30m]")
]
TextSteps: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Train so many steps, instead of --budget")
]
TextTokens: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Train so many tokens, instead of --budget")
]
PairBudget: TypeAlias = Annotated[
    str | None, typer.Option(help="Time of training alone: 3m, 2h, instead of --epochs")
]
PairEpochs: TypeAlias = Annotated[
    float | None, typer.Option(help="Passes over the examples [default: 1]")
]
PairSteps: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Train so many steps, instead of --epochs")
]
PairRate: TypeAlias = Annotated[
    float | None,
    typer.Option(help="Peak learning rate [default: 5e-5, above 512 dimensions 2e-5]"),
]

_DEFAULT_BUDGET = "30m"
_UNITS = {"s": 1, "m": 60, "h": 3600}
_LINE_SECONDS = 10.0
_SIGNALLED = 128  # what a shell adds to a signal's number


@contextmanager
def spoken_once(part: "Part") -> "Iterator[None]":
    """Let the first process alone say why a run ends; a stop is one line, as for all commands.

    What only one process may meet is told by that one.
    """
    from indexer.errors import ClozeError
    from training.loop.interruption import StoppedError
    from training.memory import MemoryShortError

    try:
        yield
    except StoppedError as stopped:
        if part.is_first:
            notice("cloze: stopped; what was acknowledged is kept, the same command continues")
        raise typer.Exit(_SIGNALLED + stopped.number) from stopped
    except ClozeError as error:
        if part.is_first or isinstance(error, MemoryShortError):
            raise
        raise typer.Exit(error.exit_code) from error


def device_of(device: str) -> str:
    """Turn auto into cuda or cpu, and check that torch has what is asked for.

    Raises:
        ClozeError: there is no such device, or none here.
    """
    from indexer.errors import ClozeError

    found = resolve_device(device)
    if found == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ClozeError("--device is cuda, and torch finds no GPU here; choose cpu or auto")
    return found


def seconds_of(time: str) -> float:
    """Read a time such as 90s, 30m or 2h.

    Raises:
        ClozeError: it is none, or zero.
    """
    from indexer.errors import ClozeError

    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", time)
    if not found or not float(found[1]):
        raise ClozeError(f"--budget is {time!r}; give a time such as 90s, 30m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def text_budget(time: str | None, steps: int | None, tokens: int | None) -> "Budget":
    """Return how much training on text is asked for, half an hour unless it is said.

    Raises:
        ClozeError: several budgets are given, or none of them is.
    """
    from indexer.errors import ClozeError
    from training.loop.schedule import Budget

    given = [each for each in (time, steps, tokens) if each is not None]
    if len(given) > 1:
        raise ClozeError(
            f"--budget, --steps and --tokens are {len(given)} budgets and a run has one; give one"
        )
    if steps is not None:
        return Budget(unit="steps", amount=steps)
    if tokens is not None:
        return Budget(unit="tokens", amount=tokens)
    return Budget(unit="seconds", amount=seconds_of(time or _DEFAULT_BUDGET))


def fine_tuning_budget(
    time: str | None, steps: int | None, epochs: float | None
) -> "Budget | Epochs":
    """Return how much fine-tuning is asked for, one pass over the examples unless it is said.

    Raises:
        ClozeError: several budgets are given, or none of them is.
    """
    from indexer.errors import ClozeError
    from training.finetuning.budget import Epochs
    from training.loop.schedule import Budget

    given = [each for each in (time, steps, epochs) if each is not None]
    if len(given) > 1:
        raise ClozeError(
            f"--budget, --steps and --epochs are {len(given)} budgets and a run has one; give one"
        )
    if steps is not None:
        return Budget(unit="steps", amount=steps)
    if time is not None:
        return Budget(unit="seconds", amount=seconds_of(time))
    passes = 1 if epochs is None else epochs
    if not 0 < passes < float("inf"):
        raise ClozeError(f"--epochs is {passes:g}; give a number above 0, as in 1 or 0.5")
    return Epochs(count=passes)


def rate_of(rate: float | None) -> float | None:
    """Return a learning rate that was asked for.

    Raises:
        ClozeError: it is none.
    """
    from indexer.errors import ClozeError

    if rate is not None and not 0 < rate < 1:
        raise ClozeError(f"--lr is {rate:g}; give a learning rate above 0 and below 1, as in 1e-3")
    return rate


@contextmanager
def training_bar(*, quiet: bool) -> "Iterator[Show]":
    """Show a run's share, rate, loss and time left: as a bar to a person, as lines to a log."""
    if quiet:
        yield lambda glance: None
        return
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    with Progress(
        TextColumn("train"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("", total=1.0, told="", visible=False)
        yield lambda glance: bar.update(
            task, completed=min(1.0, glance.share), told=_told(glance), visible=True
        )


def _lines() -> "Show":
    from time import monotonic

    told = monotonic()

    def show(glance: "Glance") -> None:
        nonlocal told
        if monotonic() - told >= _LINE_SECONDS:
            told = monotonic()
            notice(f"train: {100 * glance.share:.1f}%, {_told(glance)}")

    return show


def _told(glance: "Glance") -> str:
    minutes, seconds = divmod(int(glance.left), 60)
    return (
        f"step {glance.step:,}, {glance.rate:,.0f} tokens/s, loss {glance.loss:.3f}, "
        f"{minutes}:{seconds:02} left"
    )


def tell_trained(out: str, done: "Trained") -> None:
    """Tell a person of a finished run, and how its held-out figures have changed where that is so.

    A run that was finished before says so.
    """
    result: dict[str, Any] = dict(done.result)
    if not done.trained:
        tell(f"{out} is finished: nothing was done.")
    tell(
        f"{out}: {result['steps']:,} steps, {result['tokens']:,} tokens in "
        f"{result['seconds']:,.0f} s of training ({result['tokens_per_second']:,.0f}/s)"
    )
    before = result.get("before", {})
    figures = ", ".join(
        f"{name} {value:.4g}" + (f" (before: {before[name]:.4g})" if name in before else "")
        for name, value in result["held_out"].items()
    )
    tell(f"Held out: {figures}")
