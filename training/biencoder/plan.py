"""What to make a bi-encoder of, and how: checked before any pair is read or model loaded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime.checkpoint import Checkpoint, read_json
from training.architecture import check_architecture
from training.biencoder.batches import Size
from training.biencoder.objective import INFONCE, LOSSES, TAUGHT, Temperatures
from training.finetuning.budget import Epochs
from training.finetuning.checks import check_counts, check_taught
from training.finetuning.encoder import POOLINGS
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.pairs.example import Example
from training.precision import resolve_precision

LENGTH = 128
# The wider the model, the smaller its steps.
_WIDE = 512
_RATE, _WIDE_RATE = 5e-5, 2e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make a bi-encoder of, and how; what it learns from comes apart.

    `base` names the checkpoint gone on from; None stands for its own `pooling`, for 128 tokens or
    what it reads, for the learning rate of its width.
    """

    base: str
    budget: Budget | Epochs
    loss: str = "infonce"
    dims: tuple[int, ...] = ()
    pooling: str | None = None
    temperatures: Temperatures = field(default_factory=Temperatures)
    size: Size = field(default_factory=lambda: Size(batch=32, negatives=4))
    length: int | None = None
    rate: float | None = None
    precision: str = "auto"
    seed: int = 0
    device: str = "cpu"


def open_base(plan: Plan) -> Checkpoint:
    """Return the checkpoint to go on from, after the plan was held against it.

    Raises:
        ClozeError: it isn't there or is no BERT, or an option doesn't fit it or isn't known.
    """
    _check_names(plan)
    checkpoint = find_model(plan.base)
    check_architecture(read_json(checkpoint.folder / "config.json"), checkpoint.name)
    if (length := length_of(plan, checkpoint)) > checkpoint.max_tokens:
        raise ClozeError(
            f"--length is {length} and {checkpoint.name} reads {checkpoint.max_tokens} tokens; "
            "give at most that"
        )
    _check_dims(plan.dims, checkpoint)
    return checkpoint


def length_of(plan: Plan, checkpoint: Checkpoint) -> int:
    """Return the most tokens of a text: as asked for, else 128 or what the checkpoint reads."""
    return plan.length or min(LENGTH, checkpoint.max_tokens)


def rate_of(plan: Plan, checkpoint: Checkpoint) -> float:
    """Return the peak of the learning rate: the one asked for, else that of the width."""
    return plan.rate or (_RATE if checkpoint.dimension <= _WIDE else _WIDE_RATE)


def check_examples(
    plan: Plan, train: Sequence[Example], held_out: Sequence[Example], part: Part
) -> None:
    """Check that examples serve the plan.

    Raises:
        ClozeError: they are too few, none is held out, or a loss lacks a teacher's scores.
    """
    check_counts(train, held_out, batch=plan.size.batch, least=1, part=part)
    if plan.loss not in TAUGHT:
        return
    if not plan.size.negatives:
        raise ClozeError(
            f"--hard-negatives is 0 and --loss {plan.loss} compares an example's own passages; "
            "give 1 or more"
        )
    check_taught(train, loss=plan.loss, otherwise=INFONCE)


def _check_names(plan: Plan) -> None:
    if plan.loss not in LOSSES:
        near = get_close_matches(plan.loss, LOSSES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ClozeError(f"--loss is {plan.loss!r}; {hint}choose of {', '.join(LOSSES)}")
    if plan.pooling not in (None, *POOLINGS):
        raise ClozeError(f"--pooling is {plan.pooling!r}; choose {' or '.join(POOLINGS)}")
    if plan.loss not in TAUGHT and plan.temperatures.teacher != Temperatures().teacher:
        raise ClozeError(
            f"--teacher-temperature is for {' and '.join(TAUGHT)}, and --loss is {plan.loss}; "
            "leave it out"
        )
    resolve_precision(plan.precision, plan.device)


def _check_dims(dims: tuple[int, ...], checkpoint: Checkpoint) -> None:
    if not dims:
        return
    given, whole = ",".join(map(str, dims)), checkpoint.dimension
    if len(set(dims)) < len(dims) or not all(0 < each <= whole for each in dims):
        raise ClozeError(
            f"--dims is {given} and vectors of {checkpoint.name} have {whole} dimensions; give "
            "different numbers of at most that"
        )
    if whole not in dims:
        raise ClozeError(
            f"--dims is {given}, without the whole vector's {whole}, which would be spoilt; add it"
        )
