import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.order import Order
from training.packing import LEAST_CUT, Lengths, Piece, pack


def lengths_of(values: list[int]) -> Lengths:
    """Repeat the values without end, as an order does."""
    return lambda positions: np.array(values)[positions % len(values)]


def shape(rows: list[list[Piece]]) -> list[list[tuple[int, int]]]:
    return [[(piece.position, piece.length) for piece in row] for row in rows]


def test_best_fit_by_hand() -> None:
    # 60 opens a row, 50 another; 45 fits 50's hole closely, 40 that of 60; 30 has no hole left.
    rows, after = pack(lengths_of([60, 50, 45, 40, 30]), 0, 2, 100)
    assert shape(rows) == [[(0, 60), (3, 40)], [(1, 50), (2, 45)]]
    assert after == 4


def test_what_fits_nowhere_is_cut_to_the_largest_hole() -> None:
    rows, after = pack(lengths_of([60, 50, 90, 100]), 0, 2, 100)
    assert shape(rows) == [[(0, 60), (3, 40)], [(1, 50), (2, 50)]]
    assert after == 4


def test_a_hole_too_small_ends_the_packing() -> None:
    rows, after = pack(lengths_of([100 - LEAST_CUT + 1, 90]), 0, 1, 100)
    assert shape(rows) == [[(0, 100 - LEAST_CUT + 1)]]
    assert after == 1


def test_one_longer_than_a_row_is_cut_even_where_rows_are_narrow() -> None:
    rows, after = pack(lengths_of([50]), 3, 2, 16)
    assert shape(rows) == [[(3, 16)], [(4, 16)]]
    assert after == 5


def test_no_rows_take_nothing() -> None:
    assert pack(lengths_of([5]), 9, 0, 16) == ([], 9)


LENGTHS = st.lists(st.integers(1, 128), min_size=1, max_size=40)


def packed_slowly(
    lengths: list[int], start: int, rows: int, width: int
) -> tuple[list[list[tuple[int, int]]], int]:
    """Do what `pack` says it does, trying every row for every sequence."""
    filled: list[list[tuple[int, int]]] = [[] for _ in range(rows)]
    while True:
        length = lengths[start % len(lengths)]
        holes = [width - sum(size for _, size in row) for row in filled]
        fitting = [hole for hole in holes if hole >= length]
        if fitting:
            row = holes.index(min(fitting))
        elif max(holes) >= min(LEAST_CUT, width):
            row = holes.index(max(holes))
        else:
            return filled, start
        filled[row].append((start, min(length, holes[row])))
        start += 1


@given(lengths=LENGTHS, start=st.integers(0, 1000), rows=st.integers(1, 9))
def test_packing_equals_trying_every_row(lengths: list[int], start: int, rows: int) -> None:
    packed, after = pack(lengths_of(lengths), start, rows, 128)
    assert (shape(packed), after) == packed_slowly(lengths, start, rows, 128)


@given(lengths=LENGTHS, rows=st.integers(1, 9))
def test_each_sequence_is_taken_once_and_in_turn(lengths: list[int], rows: int) -> None:
    position = 0
    for _ in range(3):
        packed, after = pack(lengths_of(lengths), position, rows, 128)
        taken = sorted(piece.position for row in packed for piece in row)
        assert taken == list(range(position, after))
        assert all(sum(piece.length for piece in row) <= 128 for row in packed)
        assert after > position
        position = after


def test_rows_of_real_text_are_full(real_data: Path) -> None:
    import gzip

    with gzip.open(real_data / "text" / "enwiki.jsonl.gz") as lines:
        documents = [len(json.loads(line)["text"].split()) for line in islice(lines, 1500)]
    runs = [min(126, size - at) + 2 for size in documents for at in range(0, size, 126)]
    order = Order(len(runs), 1)
    sizes = np.array(runs)

    def lengths(positions: NDArray[np.int64]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = sizes[order[positions]]
        return found

    position, filled = 0, []
    for _ in range(20):
        packed, position = pack(lengths, position, 64, 128)
        filled.append(sum(piece.length for row in packed for piece in row) / (64 * 128))
    assert np.mean(filled) > 0.98
    assert position < len(runs) * 20


@pytest.mark.parametrize("width", [128, 512])
def test_the_same_position_gives_the_same_rows(width: int) -> None:
    lengths = lengths_of(list(range(3, width, 7)))
    assert pack(lengths, 17, 8, width) == pack(lengths, 17, 8, width)
