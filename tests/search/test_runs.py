"""Run files: six columns, scores that fall in float32, ids without white space."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import ClozeError
from search.runs import RunWriter, UniqueColumns


def written(ranked: list[tuple[str, float]], query: str = "q") -> list[list[str]]:
    file = io.StringIO()
    RunWriter(file, "tag").write(query, ranked)
    return [line.split(" ") for line in file.getvalue().splitlines()]


def test_a_run_by_hand() -> None:
    assert written([("a", 1.5), ("b", 0.25)]) == [
        ["q", "Q0", "a", "1", "1.5", "tag"], ["q", "Q0", "b", "2", "0.25", "tag"],
    ]  # fmt: skip
    assert written([]) == []


@given(
    st.lists(
        st.one_of(
            st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-12, 0.5, 1e-45, -1e-45, 1e-300]),
            st.floats(-1e6, 1e6),
        ),
        max_size=40,
    )
)
def test_scores_fall_strictly_in_float32(scores: list[float]) -> None:
    scores.sort(reverse=True)
    rows = written([(f"{n}", score) for n, score in enumerate(scores)])
    assert [row[2] for row in rows] == [f"{n}" for n in range(len(scores))]
    assert [row[3] for row in rows] == [f"{n}" for n in range(1, len(scores) + 1)]
    read = [np.float32(row[4]) for row in rows]
    assert all(first > second for first, second in pairwise(read))
    assert [float(score) for score in read] == pytest.approx(scores, abs=1e-4, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("plain/é%20", "plain/é%20"),
        ("two words", "two%20words"),
        ("tab\tline\n", "tab%09line%0A"),
        ("wide\u3000nbsp\u00a0", "wide%E3%80%80nbsp%C2%A0"),
    ],
)
def test_white_space_is_encoded_and_counted(name: str, column: str) -> None:
    file = io.StringIO()
    writer = RunWriter(file, "tag")
    writer.write(name, [("a", 1.0), (name, 0.5)])
    rows = [line.split() for line in file.getvalue().splitlines()]
    assert [(row[0], row[2]) for row in rows] == [(column, "a"), (column, column)]
    assert writer.encoded_ids == (name != column)


@pytest.mark.parametrize(("first", "second"), [("a b", "a%20b"), ("a%20b", "a b")])
def test_two_ids_of_one_column_are_named(first: str, second: str) -> None:
    ids = UniqueColumns()
    assert ids.column(first, "f:1") == ids.column(first, "f:2") == "a%20b"
    assert ids.column("a%b", "f:3") == "a%b"
    with pytest.raises(ClozeError, match=f"^f:4: the ids '{first}' and '{second}' are one"):
        ids.column(second, "f:4")
    assert UniqueColumns().column(second, "g:1") == "a%20b"
