"""The bi-encoder from pairs to a finished folder: `cloze train biencoder` as a function."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from indexer.runtime.checkpoint import Checkpoint
from training.biencoder.batches import Draws
from training.biencoder.card import write_card
from training.biencoder.objective import CACHED, objective_of
from training.biencoder.plan import Plan, check_examples, length_of, open_base, rate_of
from training.biencoder.record import command_of, settings_of
from training.biencoder.task import BiEncoding
from training.finetuning.budget import loop_budget
from training.finetuning.checkpoint import write_sentence_files
from training.finetuning.encoder import TextEncoder
from training.finetuning.material import HELD_OUT, PAIRS, Material, pair_settings
from training.finetuning.result import result_of
from training.finetuning.validation import FIGURE, Validation
from training.loop.loop import LoopSettings
from training.loop.meter import Show
from training.loop.parts import Part
from training.pairs.example import Example
from training.precision import DTYPES, resolve_precision
from training.run_folder import Run, check_run
from training.running import TOKENIZER_FILES, Prepared, Trained, copy_files, run_training

# Of the budget, how often the held-out queries are judged.
_EVALUATE = 0.1
# Passages among which they are searched, where their own aren't more.
PASSAGES = 500


def check_plan(plan: Plan, out: Path) -> Run | None:
    """Hold a plan against its checkpoint and the run that is in the folder, which is returned.

    No pairs are read for it.

    Raises:
        ClozeError: it can't be met, or the folder holds something else or a run of other settings.
    """
    settings = settings_of(plan, open_base(plan))
    return check_run(out, settings, unknown=frozenset({PAIRS, HELD_OUT}))


def first_batch(plan: Plan, material: Material) -> list[Example]:
    """Return what the first step takes of its examples.

    Raises:
        ClozeError: they don't serve the plan.
    """
    check_examples(plan, material.train, material.held_out, Part())
    return [each.shown for each in Draws(material.train, plan.size, seed=plan.seed)[0]]


def train_biencoder(
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

    def make() -> tuple[BiEncoding, list[str]]:
        encoder = open_encoder(plan, base)
        validation = Validation(material.held_out, material.train, PASSAGES)
        return make_task(plan, encoder, material.train, validation, tell=tell), []

    def write(task: BiEncoding, result: Mapping[str, Any]) -> None:
        task.save(out)
        copy_files(base.folder, TOKENIZER_FILES, out)
        write_sentence_files(
            out, base, pooling=plan.pooling or base.pooling, dimension=base.dimension
        )
        command = command_of(plan, material, out)
        write_card(
            out, task.model.config, plan=plan, material=material, command=command, settings=sealed,
            result=result,
        )  # fmt: skip

    def prepare() -> Prepared[BiEncoding]:
        return Prepared(
            settings=sealed,
            make=make,
            result=lambda task, outcome: result_of(
                outcome, material, task.model.num_parameters(), out
            ),
            write=write,
        )

    settings = LoopSettings(
        budget=loop_budget(plan.budget, len(material.train), plan.size.batch),
        rate=rate_of(plan, base), evaluate=_EVALUATE, best=FIGURE,
    )  # fmt: skip
    return run_training(
        out, settings, prepare, part=part, device=plan.device, tell=tell, training=training
    )


def open_encoder(plan: Plan, base: Checkpoint) -> TextEncoder:
    """Load the encoder that a plan begins with."""
    return TextEncoder(
        base, pooling=plan.pooling, length=length_of(plan, base),
        dtype=DTYPES[resolve_precision(plan.precision, plan.device)], device=plan.device,
    )  # fmt: skip


def make_task(
    plan: Plan,
    encoder: TextEncoder,
    examples: tuple[Example, ...],
    validation: Validation,
    *,
    tell: Callable[[str], None],
) -> BiEncoding:
    """Make the task of the loop."""
    return BiEncoding(
        encoder, examples, validation, objective_of(plan.loss, plan.temperatures, plan.dims),
        name=plan.loss, size=plan.size, dims=plan.dims, keeps_graph=plan.loss != CACHED,
        seed=plan.seed, device=plan.device, tell=tell,
    )  # fmt: skip
