"""`cloze pretrain`: text in, a BERT checkpoint out."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.commands.console import (
    AsJson,
    Device,
    Threads,
    emit,
    notice,
    resolve_device,
    tell,
)
from training.commands.extras import check_installed
from training.commands.reading import SkipBad, Text, TextField, TitleField, reading_bar

if TYPE_CHECKING:
    from training.loop.meter import Glance, Show
    from training.loop.parts import Part
    from training.loop.schedule import Budget
    from training.pretrain import Pretrained

_UNITS = {"s": 1, "m": 60, "h": 3600}
_DEFAULT_BUDGET = "30m"
_LINE_SECONDS = 10.0
_SIGNALLED = 128  # what a shell adds to a signal's number


def pretrain(
    text: Text,
    out: Annotated[
        str, typer.Option(metavar="DIR", help="The run's folder; the same command goes on there")
    ],
    arch: Annotated[
        str,
        typer.Option(
            help="bert-tiny, bert-mini, bert-small, bert-medium, bert-base or bert-large, from "
            "nothing; or a BERT checkpoint to go on from"
        ),
    ],
    tokenizer: Annotated[
        str | None, typer.Option(metavar="DIR", help="The tokenizer [default: the checkpoint's]")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="mlm, mlm+nsp (next sentence) or mlm+sop (sentence order)")
    ] = "mlm",
    budget: Annotated[
        str | None,
        typer.Option(help="Time of training alone: 3m, 2h [default: 30m]"),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Train so many steps, instead of --budget")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Train so many tokens, instead of --budget")
    ] = None,
    length: Annotated[
        str, typer.Option(help="Tokens of a row, or of 90% of the budget and of the rest")
    ] = "128,512",
    masking: Annotated[
        str, typer.Option(help="Choose single tokens, whole words or spans: token, word or span")
    ] = "token",
    mask_rate: Annotated[float, typer.Option(help="Share of the tokens that is chosen")] = 0.15,
    mask_shares: Annotated[
        str, typer.Option(help="Of the chosen, shares that are masked and replaced at random")
    ] = "0.8,0.1",
    duplicates: Annotated[
        int | None,
        typer.Option(min=1, help="Maskings of a text, in turn [default: a new one each epoch]"),
    ] = None,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a step")] = 4096,
    lr: Annotated[
        float | None, typer.Option(help="Peak learning rate [default: by the size]")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Decides weights, order and masks")
    ] = 0,
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16")] = "auto",
    title_field: TitleField = None,
    text_field: TextField = None,
    skip_bad: SkipBad = False,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Pretrain BERT on text: from nothing, or on from a checkpoint.

    The same command continues after a stop. Under torchrun each process takes its share.
    """
    from training.loop.parts import part_of_environment, threads_each

    part = part_of_environment()
    with _spoken_once(part):
        check_installed()
        wanted = _budget(budget, steps, tokens)
        from indexer.threads import budget as budget_threads

        budget_threads(threads_each(threads), patient=True)
        from pathlib import Path

        from training.masking import Rates
        from training.plan import Plan
        from training.pretrain import pretrain as run
        from training.text import Reading

        masked, random = _shares(mask_shares)
        plan = Plan(
            texts=tuple(text),
            tokenizer=tokenizer,
            arch=arch,
            objective=objective,
            budget=wanted,
            widths=_widths(length),
            masking=masking,
            rates=Rates(chosen=mask_rate, masked=masked, random=random),
            duplicates=duplicates,
            batch_tokens=batch_tokens,
            rate=_rate(lr),
            seed=seed,
            precision=precision,
            device=_device(device),
            reading=Reading(title=title_field, text=text_field, skip_bad=skip_bad),
        )
        quiet = json or not part.is_first
        done = run(
            plan,
            Path(out),
            part,
            tell=notice,
            reading=reading_bar("read", "tokens", quiet=quiet),
            training=training_bar(quiet=quiet),
        )
    if part.is_first:
        if json:
            emit({"model": out, "trained": done.trained} | dict(done.result))
        else:
            _tell(out, done)


@contextmanager
def _spoken_once(part: "Part") -> "Iterator[None]":
    """Let the first process alone say why a run ends; a stop is one line, as for all commands."""
    from indexer.errors import ClozeError
    from training.loop.interruption import StoppedError

    try:
        yield
    except StoppedError as stopped:
        if part.is_first:
            notice("cloze: stopped; what was acknowledged is kept, the same command continues")
        raise typer.Exit(_SIGNALLED + stopped.number) from stopped
    except ClozeError as error:
        if part.is_first:
            raise
        raise typer.Exit(error.exit_code) from error


def _device(device: str) -> str:
    from indexer.errors import ClozeError

    found = resolve_device(device)
    if found == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ClozeError("--device is cuda, and torch finds no GPU here; choose cpu or auto")
    return found


def _budget(time: str | None, steps: int | None, tokens: int | None) -> "Budget":
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
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", time or _DEFAULT_BUDGET)
    if not found or not float(found[1]):
        raise ClozeError(f"--budget is {time!r}; give a time such as 90s, 30m or 2h")
    return Budget(unit="seconds", amount=float(found[1]) * _UNITS[found[2]])


def _rate(rate: float | None) -> float | None:
    from indexer.errors import ClozeError

    if rate is not None and not 0 < rate < 1:
        raise ClozeError(f"--lr is {rate:g}; give a learning rate above 0 and below 1, as in 1e-3")
    return rate


def _widths(length: str) -> tuple[int, ...]:
    from indexer.errors import ClozeError

    parts = [part.strip() for part in length.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ClozeError(f"--length is {length!r}; give numbers of tokens, as in 128,512")
    return tuple(int(part) for part in parts)


def _shares(shares: str) -> tuple[float, float]:
    from indexer.errors import ClozeError

    try:
        masked, random = (float(part) for part in shares.split(","))
    except ValueError:
        raise ClozeError(
            f"--mask-shares is {shares!r}; give two shares, as in 0.8,0.1 (the rest stays)"
        ) from None
    return masked, random


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


def _tell(out: str, done: "Pretrained") -> None:
    result: dict[str, Any] = dict(done.result)
    if not done.trained:
        tell(f"{out} is finished: nothing was done.")
    tell(
        f"{out}: {result['steps']:,} steps, {result['tokens']:,} tokens in "
        f"{result['seconds']:,.0f} s of training ({result['tokens_per_second']:,.0f}/s)"
    )
    figures = ", ".join(f"{name} {value:.4g}" for name, value in result["held_out"].items())
    tell(f"Held out: {figures}")
