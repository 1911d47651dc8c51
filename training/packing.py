"""Sequences packed into rows of one width, so that few places are left to padding."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Lengths: TypeAlias = Callable[[NDArray[np.int64]], NDArray[np.int64]]

# A hole smaller than this is left: a sequence cut so short teaches little for what it costs.
LEAST_CUT = 32
_BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A sequence's place in a row: its position in the order, its places with special tokens.

    `length` is less than the sequence's own where it was cut to the hole that was left.
    """

    position: int
    length: int


def pack(lengths: Lengths, start: int, rows: int, width: int) -> tuple[list[list[Piece]], int]:
    """Fill rows with the sequences from position `start` on, and return the position after them.

    `lengths` tells the sequences' lengths, special tokens included, of an array of positions. Each
    sequence goes where it leaves the smallest hole (best fit; Johnson, 1974; of equal holes the
    first row's). One that fits nowhere is cut to the largest hole, if that has `LEAST_CUT` places
    or a whole row; else packing ends before it. The position is all the state there is.
    """
    packed: list[list[Piece]] = [[] for _ in range(rows)]
    holes = [(width, row) for row in range(rows)]  # ascending
    least = min(LEAST_CUT, width)
    position = start
    for length in _each(lengths, start):
        place = bisect_left(holes, (length, 0))
        if place == len(holes):
            length = holes[-1][0] if holes else 0
            if length < least:
                return packed, position
            place = bisect_left(holes, (length, 0))
        hole, row = holes.pop(place)
        packed[row].append(Piece(position=position, length=length))
        insort(holes, (hole - length, row))
        position += 1
    raise AssertionError("positions have no end")


def _each(lengths: Lengths, start: int) -> Iterator[int]:
    """Yield the lengths from a position on without end, asked for by the block."""
    while True:
        yield from lengths(np.arange(start, start + _BLOCK, dtype=np.int64)).tolist()
        start += _BLOCK
