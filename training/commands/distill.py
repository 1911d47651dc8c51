"""`cloze train distill`: a model of many layers in, one of few out."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.commands.console import AsJson, Device, Threads, emit, notice, tell
from training.commands.extras import check_installed
from training.commands.reading import SkipBad, TextField, TitleField, reading_bar
from training.commands.running import (
    Out,
    Precision,
    TextBudget,
    TextSteps,
    TextTokens,
    device_of,
    rate_of,
    spoken_once,
    text_budget,
    training_bar,
)

if TYPE_CHECKING:
    from training.running import Trained


def distill(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The teacher: a sentence encoder's folder or id")
    ],
    layers: Annotated[int, typer.Option(min=1, help="Layers of the student")],
    texts: Annotated[
        list[str], typer.Option(metavar="TEXT", help="What both read; give it several times")
    ],
    out: Out,
    budget: TextBudget = None,
    steps: TextSteps = None,
    tokens: TextTokens = None,
    batch: Annotated[int, typer.Option(min=1, help="Texts of a step, half of them short")] = 64,
    length: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a long text [default: 128]")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate [default: 2e-4]")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Decides the order")] = 0,
    precision: Precision = "auto",
    title_field: TitleField = None,
    text_field: TextField = None,
    skip_bad: SkipBad = False,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Distil a sentence encoder into one of fewer layers, on any text.

    The student begins as some of its teacher's layers and learns to give its vectors and hidden
    states. The same command continues after a stop.
    """
    from training.loop.parts import part_of_environment, threads_each

    part = part_of_environment()
    with spoken_once(part):
        check_installed()
        wanted = text_budget(budget, steps, tokens)
        from indexer.threads import budget as budget_threads

        budget_threads(threads_each(threads), patient=True)
        from pathlib import Path

        from training.distillation.plan import Plan
        from training.distillation.run import distil
        from training.text import Reading

        plan = Plan(
            teacher=model,
            layers=layers,
            texts=tuple(texts),
            budget=wanted,
            batch=batch,
            length=length,
            rate=rate_of(lr),
            precision=precision,
            seed=seed,
            device=device_of(device),
            reading=Reading(title=title_field, text=text_field, skip_bad=skip_bad),
        )
        quiet = json or not part.is_first
        done = distil(
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


def _tell(out: str, done: "Trained") -> None:
    result: dict[str, Any] = dict(done.result)
    if not done.trained:
        tell(f"{out} is finished: nothing was done.")
    tell(f"{'':<8} {'layers':>7} {'parameters':>12} {'texts/s':>9}")
    for name in ("teacher", "student"):
        each = result[name]
        tell(
            f"{name:<8} {each['layers']:>7} {each['parameters']:>12,} "
            f"{each['texts_per_second']:>9,.0f}"
        )
    tell(
        f"{out}: {result['steps']:,} steps in {result['seconds']:,.0f} s; its vectors and its "
        f"teacher's have a cosine of {result['held_out']['agreement']:.4f} on texts held out"
    )
