"""What to pretrain on what, and how: checked before any text is read."""

import difflib
from dataclasses import dataclass, field
from pathlib import Path

from indexer.errors import ClozeError
from indexer.models import find_model
from training.architecture import POSITIONS, SIZES, read_limits
from training.batches import check_rows
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.masking import MASKINGS, Rates, Vocabulary
from training.precision import resolve_precision
from training.pretraining import Phase
from training.sequences import PAIRINGS, Corruption, room_for
from training.text import Reading
from training.tokenizer import open_tokenizer

# Of the budget, from where on the second width is trained (Devlin et al., 2019, appendix A.2).
_SECOND_BEGINS = 0.9
_ALIKE = 0.8  # bert-smal is; bert-base-uncased, which a hub has, is not
# Peaks of the learning rate: the larger the model, the smaller its steps.
RATES = {
    "bert-tiny": 2e-3,
    "bert-mini": 1e-3,
    "bert-small": 1e-3,
    "bert-medium": 5e-4,
    "bert-base": 2e-4,
    "bert-large": 1e-4,
}
CONTINUED_RATE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to pretrain on what, and how; widths are in tokens with special ones, rising.

    `tokenizer` is None where that of the checkpoint `arch` serves, `rate` None for the size's own.
    """

    texts: tuple[str, ...]
    tokenizer: str | None
    arch: str
    objective: str
    budget: Budget
    widths: tuple[int, ...] = (128, 512)
    masking: str = "token"
    rates: Rates = field(default_factory=Rates)
    duplicates: int | None = None
    batch_tokens: int = 4096
    rate: float | None = None
    seed: int = 0
    precision: str = "auto"
    device: str = "cpu"
    reading: Reading = field(default_factory=Reading)


def base_of(plan: Plan) -> Path | None:
    """Return the folder of the checkpoint to go on from, None for a size."""
    if plan.arch in SIZES:
        return None
    nearest = difflib.get_close_matches(plan.arch, SIZES, 1, _ALIKE)
    if nearest and not Path(plan.arch).expanduser().exists():
        raise ClozeError(
            f"--arch is {plan.arch!r}, and the nearest known size is {nearest[0]}; name that, or "
            "a checkpoint's folder or hub id"
        )
    return find_model(plan.arch).folder


def tokenizer_of(plan: Plan, base: Path | None) -> Path:
    """Return the folder of the tokenizer: the one named, else that of the checkpoint.

    Raises:
        ClozeError: none is named for a size, or another than the checkpoint's.
    """
    if plan.tokenizer is None and base is None:
        raise ClozeError(
            f"--arch {plan.arch} begins from nothing and needs a --tokenizer; make one with "
            "cloze train tokenizer"
        )
    if plan.tokenizer is None and base is not None:
        return base
    folder = Path(plan.tokenizer or "").expanduser()
    if base and open_tokenizer(folder).content_hash != open_tokenizer(base).content_hash:
        raise ClozeError(
            f"--tokenizer {plan.tokenizer} is not the one that {plan.arch} was trained with; leave "
            "it out"
        )
    return folder


def corruption_of(plan: Plan) -> Corruption:
    """Read an objective such as mlm+nsp, and how texts are masked."""
    names = plan.objective.split("+")
    pairs = [name for name in names if name in PAIRINGS]
    if sorted(names) != sorted({"mlm", *pairs}) or len(pairs) > 1:
        raise ClozeError(
            f"--objective is {plan.objective!r}; choose mlm, or mlm and one of "
            f"{', '.join(PAIRINGS)}, as in mlm+nsp"
        )
    if plan.masking not in MASKINGS:
        raise ClozeError(f"--masking is {plan.masking!r}; choose {', '.join(MASKINGS)}")
    return Corruption(
        masking=plan.masking, rates=plan.rates, duplicates=plan.duplicates,
        pairing=pairs[0] if pairs else None,
    )  # fmt: skip


def phases_of(plan: Plan, corruption: Corruption) -> tuple[Phase, ...]:
    """Return the widths to train at, and from which share of the budget on.

    Raises:
        ClozeError: they don't rise, are too many, or one has no room for text.
    """
    widths = plan.widths
    for width in widths:
        room_for(width, corruption)
    if not 1 <= len(widths) <= 2 or sorted(set(widths)) != list(widths):
        given = ",".join(map(str, widths))
        raise ClozeError(f"--length is {given!r}; give one length, or a shorter and a longer one")
    begins = (0.0, _SECOND_BEGINS)
    return tuple(
        Phase(width=width, begins=begin) for width, begin in zip(widths, begins, strict=False)
    )


def precision_of(plan: Plan) -> str:
    """Return the number format to train in."""
    return resolve_precision(plan.precision, plan.device)


def rate_of(plan: Plan) -> float:
    """Return the peak of the learning rate: the one asked for, else that of the size."""
    return plan.rate or RATES.get(plan.arch, CONTINUED_RATE)


def check_fit(plan: Plan, base: Path | None, vocabulary: Vocabulary) -> None:
    """Check that tokenizer, lengths and batch fit, before any text is read."""
    pieces, positions = vocabulary.size, POSITIONS
    if base is not None:
        pieces, positions = read_limits(base, plan.arch, plan.objective)
    if vocabulary.size > pieces:
        raise ClozeError(
            f"the tokenizer has {vocabulary.size} pieces and {plan.arch} embeds {pieces}; name "
            "the tokenizer that it was trained with"
        )
    if plan.widths[-1] > positions:
        raise ClozeError(
            f"--length is {plan.widths[-1]} and {plan.arch} has {positions} positions; give at "
            "most that"
        )
    check_rows(plan.batch_tokens, plan.widths[-1])


def check_parts(plan: Plan, part: Part) -> None:
    """Check that each process has rows to train on."""
    width = plan.widths[-1]
    rows = max(1, plan.batch_tokens // width)
    if rows < part.world:
        raise ClozeError(
            f"--batch-tokens {plan.batch_tokens} holds {rows} rows of {width} tokens, and "
            f"{part.world} processes share them; give at least {part.world * width}"
        )
