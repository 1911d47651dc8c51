"""`cloze train biencoder`: pairs and a checkpoint in, an encoder for search out."""

from typing import Annotated

import typer

from indexer.commands.console import AsJson, Device, Threads, emit, notice
from training.commands.extras import check_installed
from training.commands.pairs import (
    Against,
    AllowLeak,
    DryRun,
    HeldOut,
    Negatives,
    PairFiles,
    Split,
    open_material,
    show_dry_run,
    show_report,
)
from training.commands.reading import SkipBad
from training.commands.running import (
    Out,
    PairBudget,
    PairEpochs,
    PairRate,
    PairSteps,
    Precision,
    device_of,
    fine_tuning_budget,
    rate_of,
    spoken_once,
    tell_trained,
    training_bar,
)


def biencoder(
    pairs: PairFiles,
    from_: Annotated[
        str, typer.Option("--from", metavar="CHECKPOINT", help="The BERT encoder to go on from")
    ],
    out: Out,
    loss: Annotated[
        str,
        typer.Option(
            help="infonce; cached (the same in little memory); or, of a teacher's scores, "
            "marginmse or kl"
        ),
    ] = "infonce",
    negatives: Negatives = None,
    hard_negatives: Annotated[
        int, typer.Option(min=0, help="Of an example's negatives, so many go into a step")
    ] = 4,
    dims: Annotated[
        str | None,
        typer.Option(help="Train the first dimensions too, as in 384,128 [default: whole vectors]"),
    ] = None,
    pooling: Annotated[
        str | None, typer.Option(help="mean or cls [default: the checkpoint's]")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Cosines are divided by it")] = 0.05,
    teacher_temperature: Annotated[
        float,
        typer.Option(help="A teacher's scores are; 1 suits logits, 0.05 cosines and hybrid scores"),
    ] = 1.0,
    budget: PairBudget = None,
    epochs: PairEpochs = None,
    steps: PairSteps = None,
    batch: Annotated[int, typer.Option(min=2, help="Examples of a step")] = 32,
    length: Annotated[
        int | None,
        typer.Option(min=8, help="Tokens of a text [default: 128, or what the checkpoint reads]"),
    ] = None,
    lr: PairRate = None,
    precision: Precision = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Decides the order and what is drawn")
    ] = 0,
    held_out: HeldOut = None,
    against: Against = None,
    allow_leak: AllowLeak = False,
    split: Split = None,
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Fine-tune an encoder on pairs of query and passage, and keep its best weights.

    The same command continues after a stop. Under torchrun each process takes its share, and the
    passages of all are negatives.
    """
    from training.loop.parts import part_of_environment, threads_each

    part = part_of_environment()
    quiet = json or not part.is_first
    with spoken_once(part):
        check_installed()
        wanted = fine_tuning_budget(budget, steps, epochs)
        from indexer.threads import budget as budget_threads

        budget_threads(threads_each(threads), patient=True)
        from pathlib import Path

        from training.biencoder.batches import Size
        from training.biencoder.objective import Temperatures
        from training.biencoder.plan import Plan, check_examples
        from training.biencoder.run import check_plan, first_batch, train_biencoder

        plan = Plan(
            base=from_,
            budget=wanted,
            loss=loss,
            dims=_dims(dims),
            pooling=pooling,
            temperatures=Temperatures(
                own=_temperature("--temperature", temperature),
                teacher=_temperature("--teacher-temperature", teacher_temperature),
            ),
            size=Size(batch=batch, negatives=hard_negatives),
            length=length,
            rate=rate_of(lr),
            precision=precision,
            seed=seed,
            device=device_of(device),
        )
        begun = check_plan(plan, Path(out))
        material = open_material(
            pairs, negatives=negatives, split=split, against=against, allow_leak=allow_leak,
            skip_bad=skip_bad, held_out=held_out, quiet=quiet,
        )  # fmt: skip
        if dry_run:
            shown = first_batch(plan, material)
            if part.is_first:
                show_dry_run(material, shown, json=json)
            return
        if begun is None and not quiet:
            # Else a mistake comes behind the report.
            check_examples(plan, material.train, material.held_out, part)
            show_report(material)
        done = train_biencoder(
            plan, material, Path(out), part, tell=notice, training=training_bar(quiet=quiet)
        )
    if part.is_first:
        if json:
            emit({"model": out, "trained": done.trained} | dict(done.result))
        else:
            tell_trained(out, done)


def _dims(dims: str | None) -> tuple[int, ...]:
    from indexer.errors import ClozeError

    parts = [part.strip() for part in dims.split(",")] if dims else []
    if not all(part.isdecimal() for part in parts):
        raise ClozeError(f"--dims is {dims!r}; give numbers of dimensions, as in 384,128")
    return tuple(int(part) for part in parts)


def _temperature(name: str, value: float) -> float:
    from indexer.errors import ClozeError

    if not 0 < value < float("inf"):
        raise ClozeError(f"{name} is {value:g}; give a number above 0, as in 0.05")
    return value
