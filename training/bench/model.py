"""The models that are timed: BERT's sizes by name, others by layers and width."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from indexer.errors import ClozeError
from training.architecture import SIZES, random_model

if TYPE_CHECKING:
    from transformers import BertForPreTraining

_HEAD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """Layers, hidden size and heads; the inner size is four times the hidden."""

    layers: int
    hidden: int
    heads: int

    @property
    def inner(self) -> int:
        """Return the width inside the feed-forward."""
        return 4 * self.hidden


def read_model_size(arch: str) -> ModelSize:
    """Read bert-mini and its like, or LAYERSxHIDDEN with heads of 64 as in 6x384.

    Raises:
        ClozeError: it is neither.
    """
    if arch in SIZES:
        layers, hidden, heads = SIZES[arch]
        return ModelSize(layers=layers, hidden=hidden, heads=heads)
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", arch)
    if not found:
        near = get_close_matches(arch, SIZES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ClozeError(
            f"--arch is {arch!r}; {hint}choose of {', '.join(SIZES)}, or LAYERSxHIDDEN as in 6x384"
        )
    layers, hidden = int(found[1]), int(found[2])
    if hidden % _HEAD:
        raise ClozeError(f"--arch {arch} has a width of {hidden}; give a multiple of {_HEAD}")
    return ModelSize(layers=layers, hidden=hidden, heads=hidden // _HEAD)


def make_model(
    size: ModelSize, vocabulary: int, pad: int, seed: int, *, dropout: float
) -> "BertForPreTraining":
    """Make a BERT with random weights, which the seed alone decides."""
    return random_model(
        size.layers, size.hidden, size.heads,
        vocabulary=vocabulary, pad=pad, seed=seed, dropout=dropout,
    )  # fmt: skip
