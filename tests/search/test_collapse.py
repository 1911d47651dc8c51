"""Collapsing by hand and against a brute-force reading of its definition."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.collapse import collapse


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sketches be near-duplicates where they are equal."""

    def first_equal(sketches: Sequence[bytes | None]) -> list[int]:
        return [
            place if sketch is None else sketches.index(sketch)
            for place, sketch in enumerate(sketches)
        ]

    monkeypatch.setattr("search.collapse.representatives", first_equal)


def sketched(letters: str) -> dict[int, bytes | None]:
    """Number documents from 100, a letter each for its kind; a dot has none."""
    return {n: None if kind == "." else kind.encode() for n, kind in enumerate(letters, 100)}


def test_by_hand() -> None:
    sketches = sketched("ab.aab..c")
    found = collapse(list(sketches), 4, lambda _: sketches)
    assert found.rows == [0, 1, 2, 6]
    assert found.duplicates == {0: [3, 4], 1: [5]}
    # The page is full at the third: what comes after it is folded into nothing.
    assert collapse(list(sketches), 3, lambda _: sketches).duplicates == {}
    assert collapse(list(sketches), 0, lambda _: sketches).rows == []
    assert collapse([], 3, lambda _: {}).rows == []


def test_many_duplicates_are_read_on() -> None:
    sketches = sketched("a" * 500 + "b")
    asked: list[int] = []

    def read(numbers: Sequence[int]) -> dict[int, bytes | None]:
        asked.append(len(numbers))
        return {number: sketches[number] for number in numbers}

    found = collapse(list(sketches), 2, read)
    assert found.rows == [0, 500]
    assert found.duplicates == {0: list(range(1, 500))}
    assert asked[0] == 18
    assert asked[-1] == 501


@given(st.text("abc.", max_size=60), st.integers(0, 12), st.integers(0, 12))
def test_a_longer_list_only_adds(letters: str, some: int, more: int) -> None:
    sketches = sketched(letters)
    short = collapse(list(sketches), some, lambda _: sketches)
    long = collapse(list(sketches), some + more, lambda _: sketches)
    kept = [n for n, kind in enumerate(letters) if kind == "." or kind not in letters[:n]]
    assert short.rows == kept[:some]
    assert long.rows[: len(short.rows)] == short.rows
    for row, folded in short.duplicates.items():
        assert long.duplicates[row][: len(folded)] == folded
        assert all(letters[each] == letters[row] for each in folded)
