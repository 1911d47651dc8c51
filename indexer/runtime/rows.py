"""Token rows, and the batches that they run in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAD_MULTIPLE = 16
BATCH_TOKENS = 2048
# A GPU is idle between batches, so it gets fewer and larger ones.
CUDA_BATCH_TOKENS = 16_384


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A text's or a pair's token ids, special ones included; `types` are 0 where not given.

    `truncated`: the end of the text is not among them.
    """

    ids: Sequence[int]
    types: Sequence[int] | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one padded length: ids, mask and token types, each int64 [batch, length]."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    types: NDArray[np.int64]


def padded(rows: Sequence[TokenRow], length: int) -> Batch:
    """Put rows into arrays, with zeros behind them."""
    ids = np.zeros((len(rows), length), dtype=np.int64)
    mask = np.zeros_like(ids)
    types = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = row.ids
        mask[place, : len(row.ids)] = 1
        if row.types is not None:
            types[place, : len(row.ids)] = row.types
    return Batch(ids, mask, types)


def token_budget(device: str) -> int:
    """Return how many tokens, padding included, a batch may hold on a device."""
    return BATCH_TOKENS if device == "cpu" else CUDA_BATCH_TOKENS


def batches(
    lengths: Sequence[int], limit: int, budget: int = BATCH_TOKENS
) -> Iterator[tuple[int, list[int]]]:
    """Group rows into batches of one padded length and at most `budget` tokens, longest first.

    A row's padded length is the next multiple of 16 of its own, so it is a function of the row
    alone; padding never goes beyond `limit`, where the model's positions end. What is left behind
    the last full batch of a length goes in batches of 1, 2, 4, … rows: runtimes prepare, and keep
    in memory, something for each shape that they meet, so there must be few.
    """
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(padded_length(length, limit), []).append(row)
    for length in sorted(by_length, reverse=True):
        rows = by_length[length]
        start = 0
        for size in _sizes(len(rows), max(1, budget // length)):
            yield length, rows[start : start + size]
            start += size


def _sizes(rows: int, most: int) -> Iterator[int]:
    full, rest = divmod(rows, most)
    yield from [most] * full
    yield from (1 << bit for bit in reversed(range(rest.bit_length())) if rest >> bit & 1)


def padded_length(length: int, limit: int) -> int:
    """Return the length that a row of so many tokens runs at."""
    return max(1, min(-(-length // PAD_MULTIPLE) * PAD_MULTIPLE, limit))
