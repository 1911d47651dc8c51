"""`cloze train crossencoder`: pairs and a checkpoint in, a reranker out."""

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.commands.console import AsJson, Device, Threads, emit, notice, tell
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

if TYPE_CHECKING:
    from training.running import Trained


def crossencoder(
    pairs: PairFiles,
    from_: Annotated[
        str,
        typer.Option(
            "--from", metavar="CHECKPOINT", help="The BERT encoder or cross-encoder to go on from"
        ),
    ],
    out: Out,
    loss: Annotated[
        str,
        typer.Option(
            help="listnet or lambda, of lists; bce, of single passages; or, of a teacher's "
            "scores, distil"
        ),
    ] = "listnet",
    negatives: Negatives = None,
    hard_negatives: Annotated[
        int,
        typer.Option(
            min=1,
            help="Passages of a list beside a positive: the example's negatives, then others' "
            "positives",
        ),
    ] = 7,
    budget: PairBudget = None,
    epochs: PairEpochs = None,
    steps: PairSteps = None,
    batch: Annotated[int, typer.Option(min=1, help="Lists of a step")] = 8,
    length: Annotated[
        int | None,
        typer.Option(min=16, help="Tokens of a pair [default: 256, or what the checkpoint reads]"),
    ] = None,
    lr: PairRate = None,
    precision: Precision = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Decides new weights, order and lists")
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
    """Fine-tune a reranker on pairs of query and passage, keep its best weights, calibrate it.

    The same command continues after a stop. Under torchrun each process takes its share.
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

        from training.crossencoder.lists import Size
        from training.crossencoder.plan import Plan, check_examples
        from training.crossencoder.run import check_plan, first_batch, train_crossencoder

        plan = Plan(
            base=from_,
            budget=wanted,
            loss=loss,
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
        done = train_crossencoder(
            plan, material, Path(out), part, tell=notice, training=training_bar(quiet=quiet)
        )
    if part.is_first:
        if json:
            emit({"model": out, "trained": done.trained} | dict(done.result))
        else:
            _tell(out, done)


def _tell(out: str, done: "Trained") -> None:
    tell_trained(out, done)
    if found := done.result["calibration"]:
        before, after = found["before"], found["after"][found["method"]]
        tell(
            f"Probabilities: {found['method']}, expected error {after['ece']:.4f} (before: "
            f"{before['ece']:.4f}), Brier score {after['brier']:.4f} ({before['brier']:.4f})"
        )
