"""Fusion by hand, the total order, and that a longer list only adds to a shorter one."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.fusion import Ranking, min_max, rank, reciprocal_rank


def names(numbers: Sequence[int]) -> dict[int, str]:
    """Name documents so that the order of their ids is not that of their numbers."""
    return {n: chr(200 + n * 37 % 61) for n in numbers}


def ranked(scores: Mapping[int, float]) -> Ranking:
    numbers = np.array(list(scores), dtype=np.int64)
    return rank(numbers, np.array(list(scores.values()), dtype=np.float64), names)


def listed(found: Ranking) -> list[tuple[int, float]]:
    return list(zip(found.numbers.tolist(), found.scores.tolist(), strict=True))


def test_min_max_by_hand() -> None:
    lexical, dense = ranked({1: 12.0, 2: 6.0, 3: 3.0}), ranked({4: 0.9, 2: 0.8, 1: 0.5})
    # Scaled: lexical, from zero, 1, .5, .25; dense, from its least, 1, .75, 0.
    expected = [(1, 0.75), (2, 0.5625), (4, 0.25), (3, 0.1875)]
    found = listed(min_max(lexical, dense, 0.25, names))
    assert [n for n, _ in found] == [n for n, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected])
    assert [n for n, _ in listed(min_max(lexical, dense, 1.0, names))][:2] == [4, 2]
    assert [n for n, _ in listed(min_max(lexical, dense, 0.0, names))][:3] == [1, 2, 3]


def test_a_list_of_equal_scores_counts_in_full() -> None:
    both = min_max(ranked({1: 3.0, 2: 3.0}), ranked({3: 0.5}), 0.5, names)
    assert listed(both) == [(2, 0.5), (1, 0.5), (3, 0.5)]
    assert listed(min_max(ranked({1: 3.0}), ranked({1: -0.2, 2: -0.4}), 0.5, names)) == [
        (1, 1.0), (2, 0.0),
    ]  # fmt: skip


def test_reciprocal_ranks_by_hand() -> None:
    lexical, dense = ranked({1: 12.0, 2: 8.0}), ranked({3: 0.9, 1: 0.8})
    found = listed(reciprocal_rank(lexical, dense, names))
    assert [n for n, _ in found] == [1, 3, 2]
    assert [score for _, score in found] == pytest.approx([1 / 61 + 1 / 62, 1 / 61, 1 / 62])


def test_an_empty_list_is_no_obstacle() -> None:
    empty, full = ranked({}), ranked({5: 0.3, 4: 0.2})
    for one, other, expected in ((empty, empty, []), (empty, full, [5, 4]), (full, empty, [5, 4])):
        assert min_max(one, other, 0.5, names).numbers.tolist() == expected
        assert reciprocal_rank(one, other, names).numbers.tolist() == expected


@pytest.mark.parametrize(
    "ordered",
    [
        ["z", "é"],  # U+007A before U+00E9, whatever a locale says
        ["B", "a"],
        ["10", "9"],
        ["a", "a "],
        ["\uffee", "\U0001f600"],  # by code point, not by UTF-16 unit
    ],
)
def test_ties_go_by_code_point(ordered: list[str]) -> None:
    table = dict(enumerate(reversed(ordered)))  # the numbers stand the other way round
    found = rank(np.array([0, 1]), np.array([0.5, 0.5]), lambda _: table)
    assert [table[n] for n in found.numbers.tolist()] == ordered
    assert found.places([0, 1], lambda _: table) == {1: (1, 0.5), 0: (2, 0.5)}


def test_only_ids_that_decide_are_looked_up() -> None:
    asked: list[int] = []

    def look_up(numbers: Sequence[int]) -> dict[int, str]:
        asked.extend(numbers)
        return names(numbers)

    numbers = np.array([4, 5, 6, 7, 8, 9])
    scores = np.array([5.0, 4.0, 4.0, 2.0, 1.0, 1.0])
    rank(numbers, scores, look_up)
    assert sorted(asked) == [5, 6, 8, 9]
    asked.clear()
    rank(numbers, scores, look_up, settle=1)
    assert asked == []
    rank(numbers, scores, look_up, settle=2)
    assert sorted(asked) == [5, 6]
    asked.clear()
    rank(numbers, scores, look_up, depth=5, settle=0)
    assert sorted(asked) == [8, 9]  # which of the two is cut off


SCORES = st.dictionaries(
    st.integers(0, 60), st.sampled_from([0.0, 0.125, 0.25, 1.0, 3.5]), max_size=40
)
PLACES = st.none() | st.integers(0, 45)


@given(scores=SCORES, depth=PLACES, settle=PLACES)
def test_rank_is_the_total_order_as_far_as_it_is_settled(
    scores: dict[int, float], depth: int | None, settle: int | None
) -> None:
    id_of = names(list(scores))
    expected = sorted(scores, key=lambda n: (-scores[n], id_of[n]))[:depth]
    numbers, values = np.array(list(scores), dtype=np.int64), np.array(list(scores.values()))
    found = rank(numbers, values, names, depth=depth, settle=settle)
    assert found.numbers.tolist()[:settle] == expected[:settle]
    assert set(found.numbers.tolist()) == set(expected)
    assert found.scores.tolist() == [scores[n] for n in expected]
    places = {n: (place, scores[n]) for place, n in enumerate(expected, 1)}
    some = expected[::3]
    told = found.places([*some, 99], names)
    assert {n: told[n] for n in some} == {n: places[n] for n in some}
    assert told.items() <= places.items()


@given(
    lexical=SCORES,
    dense=SCORES,
    weight=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    settle=st.integers(0, 80),
)
def test_min_max_is_the_formula(
    lexical: dict[int, float], dense: dict[int, float], weight: float, settle: int
) -> None:
    def scaled(scores: dict[int, float], n: int, low: float) -> float:
        if n not in scores:
            return 0.0
        high = max(scores.values())
        return 1.0 if low == high else (scores[n] - low) / (high - low)

    expected = {
        n: (1 - weight) * scaled(lexical, n, 0.0)
        + weight * scaled(dense, n, min(dense.values(), default=0.0))
        for n in lexical.keys() | dense.keys()
    }
    order = sorted(expected, key=lambda n: (-expected[n], names([n])[n]))
    found = min_max(ranked(lexical), ranked(dense), weight, names)
    assert listed(found) == [(n, expected[n]) for n in order]
    shorter = min_max(ranked(lexical), ranked(dense), weight, names, settle)
    assert listed(shorter)[:settle] == listed(found)[:settle]


@given(lexical=SCORES, dense=SCORES, settle=st.integers(0, 80))
def test_reciprocal_rank_is_the_formula(
    lexical: dict[int, float], dense: dict[int, float], settle: int
) -> None:
    places = [
        {n: place for place, n in enumerate(ranked(scores).numbers.tolist(), 1)}
        for scores in (lexical, dense)
    ]
    expected = {
        n: sum(1 / (60 + place[n]) for place in places if n in place)
        for n in lexical.keys() | dense.keys()
    }
    order = sorted(expected, key=lambda n: (-expected[n], names([n])[n]))
    found = reciprocal_rank(ranked(lexical), ranked(dense), names)
    assert listed(found) == [(n, expected[n]) for n in order]
    shorter = reciprocal_rank(ranked(lexical), ranked(dense), names, settle)
    assert listed(shorter)[:settle] == listed(found)[:settle]
