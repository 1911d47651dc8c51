"""The arithmetic of a training step: its products of matrices, forward and backward."""

from dataclasses import dataclass

from training.bench.model import ModelSize


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What went through the model: rows of `width` places, padding among them.

    `masked` places had their tokens asked for, `pairs` their label.
    """

    rows: int
    width: int
    masked: int
    pairs: int


def operations(size: ModelSize, vocabulary: int, work: Work) -> int:
    """Count the floating-point operations of training on some rows.

    Going forward a weight multiplies and adds once a place; going backward twice, for the gradients
    of its input and of itself: 6 * weights * places. Attention multiplies queries with keys and
    shares with values, each 2 * width * hidden a place and layer, and twice that backward. The
    vocabulary and the dense layer before it run at masked places alone, the pooler at each pair's
    [CLS].
    """
    hidden, places = size.hidden, work.rows * work.width
    weights = size.layers * (4 * hidden**2 + 2 * hidden * size.inner)
    attention = 12 * size.layers * hidden * work.width
    head = hidden**2 + hidden * vocabulary
    pooler = hidden**2 + 2 * hidden
    return (6 * weights + attention) * places + 6 * head * work.masked + 6 * pooler * work.pairs
