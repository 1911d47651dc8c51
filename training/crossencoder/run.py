"""The cross-encoder from pairs to a finished folder: `cloze train crossencoder` as a function."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.probability import write_calibration
from training.calibration import Calibrated
from training.crossencoder.card import write_card
from training.crossencoder.lists import Lists
from training.crossencoder.objective import DISTIL
from training.crossencoder.plan import Plan, check_examples, length_of, open_base, rate_of
from training.crossencoder.record import calibration_figures, command_of, settings_of
from training.crossencoder.scorer import Scorer
from training.crossencoder.task import CrossEncoding
from training.crossencoder.validation import ListValidation
from training.finetuning.budget import loop_budget
from training.finetuning.material import HELD_OUT, PAIRS, Material, pair_settings
from training.finetuning.result import result_of
from training.finetuning.validation import FIGURE
from training.loop.loop import LoopSettings, Outcome
from training.loop.meter import Show
from training.loop.parts import Part
from training.pairs.example import Example
from training.precision import DTYPES, resolve_precision
from training.reliability import PICTURE, draw_reliability
from training.run_folder import Run, check_run
from training.running import TOKENIZER_FILES, Prepared, Trained, copy_files, run_training

# Of the budget, how often the held-out queries are judged.
_EVALUATE = 0.1


def check_plan(plan: Plan, out: Path) -> Run | None:
    """Hold a plan against its checkpoint and the run that is in the folder, which is returned.

    No pairs are read for it.

    Raises:
        ClozeError: it can't be met, or the folder holds something else or a run of other settings.
    """
    settings = settings_of(plan, open_base(plan))
    return check_run(out, settings, unknown=frozenset({PAIRS, HELD_OUT}))


def first_batch(plan: Plan, material: Material) -> list[Example]:
    """Return the lists of the first step as examples.

    Raises:
        ClozeError: the examples don't serve the plan.
    """
    check_examples(plan, material.train, material.held_out, Part())
    lists = Lists(material.train, plan.size, seed=plan.seed, filled=plan.loss != DISTIL)
    return [
        Example(
            query=each.query, positives=each.texts[: each.positives],
            negatives=each.texts[each.positives :], scores=each.scores,
        )
        for each in lists[0]
    ]  # fmt: skip


def train_crossencoder(
    plan: Plan,
    material: Material,
    out: Path,
    part: Part,
    *,
    tell: Callable[[str], None],
    training: AbstractContextManager[Show],
) -> Trained:
    """Train as planned into a folder, or go on there; the context shows the work.

    What the user should know while it trains is told.

    Raises:
        ClozeError: the plan can't be met, the folder holds another run or another process trains
            there, or the loss ran away.
        StoppedError: a signal asked to stop; the same call goes on.
    """
    base = open_base(plan)
    check_examples(plan, material.train, material.held_out, part)
    sealed = pair_settings(material) | settings_of(plan, base)

    def make() -> tuple[CrossEncoding, list[str]]:
        scorer = open_scorer(plan, base)
        task = CrossEncoding(
            scorer, material.train, ListValidation(material.held_out), loss=plan.loss,
            size=plan.size, seed=plan.seed, device=plan.device, tell=tell,
        )  # fmt: skip
        new = f"{plan.base} has no classifier of one label; it began at random"
        return task, [new] * scorer.is_new

    def result(task: CrossEncoding, outcome: Outcome) -> Mapping[str, Any]:
        found = result_of(outcome, material, task.model.num_parameters(), out)
        return found | {"calibration": calibration_figures(task.calibrated)}

    def write(task: CrossEncoding, result: Mapping[str, Any]) -> None:
        task.save(out)
        copy_files(base.folder, TOKENIZER_FILES, out)
        if task.calibrated:
            _write_calibration(out, task.calibrated)
        else:
            tell("there are too few held-out queries to calibrate probabilities on")
        write_card(
            out, task.model.config, plan=plan, material=material,
            command=command_of(plan, material, out), settings=sealed, result=result,
        )  # fmt: skip

    def prepare() -> Prepared[CrossEncoding]:
        return Prepared(settings=sealed, make=make, result=result, write=write)

    settings = LoopSettings(
        budget=loop_budget(plan.budget, len(material.train), plan.size.batch),
        rate=rate_of(plan, base), evaluate=_EVALUATE, best=FIGURE,
    )  # fmt: skip
    return run_training(
        out, settings, prepare, part=part, device=plan.device, tell=tell, training=training
    )


def open_scorer(plan: Plan, base: Checkpoint) -> Scorer:
    """Load the model that a plan begins with."""
    return Scorer(
        base, length=length_of(plan, base), seed=plan.seed,
        dtype=DTYPES[resolve_precision(plan.precision, plan.device)], device=plan.device,
    )  # fmt: skip


def _write_calibration(out: Path, calibrated: Calibrated) -> None:
    write_calibration(out, calibrated.calibration)
    draw_reliability(calibrated.before, calibrated.after[calibrated.method], out / PICTURE)
