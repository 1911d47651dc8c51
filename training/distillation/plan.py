"""What to distil into how many layers, and how: checked before any text is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime.checkpoint import Checkpoint, read_json
from training.architecture import check_architecture
from training.distillation.layers import picked_layers
from training.finetuning.encoder import POOLINGS
from training.loop.schedule import Budget
from training.precision import resolve_precision
from training.record import budget_option
from training.text import Reading

LENGTH = 128
_RATE = 2e-4
_LEAST_LENGTH = 8
_HASH = 16  # hexadecimal digits that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to distil, into how many layers, on which texts.

    `length` is None for 128 tokens or what the teacher reads, `rate` None for the usual one.
    """

    teacher: str
    layers: int
    texts: tuple[str, ...]
    budget: Budget
    batch: int = 64
    length: int | None = None
    rate: float | None = None
    precision: str = "auto"
    seed: int = 0
    device: str = "cpu"
    reading: Reading = field(default_factory=Reading)


def open_teacher(plan: Plan) -> Checkpoint:
    """Return the checkpoint to learn from, after the plan was held against it.

    Raises:
        ClozeError: it isn't there or is no BERT that encodes sentences, or an option doesn't fit.
    """
    teacher = find_model(plan.teacher)
    config = read_json(teacher.folder / "config.json")
    check_architecture(config, teacher.name)
    _check_encoder(config, teacher)
    picked_layers(config["num_hidden_layers"], plan.layers)
    resolve_precision(plan.precision, plan.device)
    length = length_of(plan, teacher)
    if not _LEAST_LENGTH <= length <= teacher.max_tokens:
        raise ClozeError(
            f"--length is {length} and {teacher.name} reads {teacher.max_tokens} tokens; give "
            f"{_LEAST_LENGTH} to {teacher.max_tokens}"
        )
    return teacher


def length_of(plan: Plan, teacher: Checkpoint) -> int:
    """Return the most tokens of a text: as asked for, else 128 or what the teacher reads."""
    return plan.length or min(LENGTH, teacher.max_tokens)


def rate_of(plan: Plan) -> float:
    """Return the peak of the learning rate."""
    return plan.rate or _RATE


def settings_of(plan: Plan, teacher: Checkpoint) -> dict[str, Any]:
    """Return all that decides the result but the texts, by the names of the options."""
    return {
        "MODEL": teacher.content_hash[:_HASH],
        **options_of(plan),
        "--length": length_of(plan, teacher),
        "--lr": rate_of(plan),
        "--precision": resolve_precision(plan.precision, plan.device),
    }


def options_of(plan: Plan) -> dict[str, Any]:
    """Return the options of which none is chosen by the teacher or the machine."""
    return {
        "--layers": plan.layers,
        **budget_option(plan.budget),
        "--batch": plan.batch,
        "--seed": plan.seed,
    }


def _check_encoder(config: Mapping[str, Any], teacher: Checkpoint) -> None:
    names = [str(each) for each in config.get("architectures") or []]
    if any(each.endswith("ForSequenceClassification") for each in names):
        raise ClozeError(
            f"{teacher.name} is a {names[0]}, and what is distilled here are vectors of texts: "
            "name a sentence encoder, or teach a smaller cross-encoder with cloze mine --label "
            "and cloze train crossencoder --loss distil"
        )
    if teacher.pooling not in POOLINGS:
        raise ClozeError(
            f"{teacher.name} has the pooling {teacher.pooling!r}, and training has "
            f"{' and '.join(POOLINGS)}; choose another MODEL"
        )
