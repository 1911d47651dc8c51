"""What to make a cross-encoder of, and how: checked before any pair is read or model loaded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime.checkpoint import Checkpoint, read_json
from indexer.runtime.model import read_tokenizer
from indexer.runtime.pairs import PairTokenizer
from training.architecture import check_architecture
from training.crossencoder.lists import Size
from training.crossencoder.objective import DISTIL, LISTNET, OBJECTIVES
from training.finetuning.budget import Epochs
from training.finetuning.checkpoint import check_segments
from training.finetuning.checks import check_counts, check_taught
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.pairs.example import Example
from training.precision import resolve_precision

LENGTH = 256
# With as many each query's list has others' passages.
_HELD_OUT = 2
# The wider the model, the smaller its steps.
_WIDE = 512
_RATE, _WIDE_RATE = 5e-5, 2e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make a cross-encoder of, and how; what it learns from comes apart.

    `base` names the checkpoint gone on from; None stands for 256 tokens of a pair or what it reads,
    and for the learning rate of its width.
    """

    base: str
    budget: Budget | Epochs
    loss: str = LISTNET
    size: Size = field(default_factory=lambda: Size(batch=8, negatives=7))
    length: int | None = None
    rate: float | None = None
    precision: str = "auto"
    seed: int = 0
    device: str = "cpu"


def open_base(plan: Plan) -> Checkpoint:
    """Return the checkpoint to go on from, after the plan was held against it.

    Raises:
        ClozeError: it isn't there, is no BERT, reads no pairs or can't tell their texts apart, or
            an option doesn't fit it or isn't known.
    """
    if plan.loss not in OBJECTIVES:
        near = get_close_matches(plan.loss, OBJECTIVES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ClozeError(f"--loss is {plan.loss!r}; {hint}choose of {', '.join(OBJECTIVES)}")
    resolve_precision(plan.precision, plan.device)
    checkpoint = find_model(plan.base)
    config = read_json(checkpoint.folder / "config.json")
    check_architecture(config, checkpoint.name)
    check_segments(config, checkpoint.name)
    if (length := length_of(plan, checkpoint)) > checkpoint.max_tokens:
        raise ClozeError(
            f"--length is {length} and {checkpoint.name} reads {checkpoint.max_tokens} tokens; "
            "give at most that"
        )
    PairTokenizer(read_tokenizer(checkpoint), length, checkpoint.name)
    return checkpoint


def length_of(plan: Plan, checkpoint: Checkpoint) -> int:
    """Return the most tokens of a pair: as asked for, else 256 or what the checkpoint reads."""
    return plan.length or min(LENGTH, checkpoint.max_tokens)


def rate_of(plan: Plan, checkpoint: Checkpoint) -> float:
    """Return the peak of the learning rate: the one asked for, else that of the width."""
    return plan.rate or (_RATE if checkpoint.dimension <= _WIDE else _WIDE_RATE)


def check_examples(
    plan: Plan, train: Sequence[Example], held_out: Sequence[Example], part: Part
) -> None:
    """Check that examples serve the plan.

    Raises:
        ClozeError: they are too few, those held out can't be judged on, or lists would have nothing
            to tell apart, or no teacher's scores.
    """
    check_counts(train, held_out, batch=plan.size.batch, least=_HELD_OUT, part=part)
    if len(held_out) < _HELD_OUT and not held_out[0].negatives:
        raise ClozeError(
            "the one query held out has no negatives, so that any order of its list is right; "
            f"give --held-out {_HELD_OUT} or more"
        )
    if plan.loss == DISTIL:
        check_taught(train, loss=DISTIL, otherwise=LISTNET)
    elif plan.size.batch == 1 and (bare := [each for each in train if not each.negatives]):
        raise ClozeError(
            f"--batch is 1 and {len(bare):,} of {len(train):,} examples have no negatives, so that "
            "nothing stands in their lists beside the positives; give --batch 2 or more"
        )
