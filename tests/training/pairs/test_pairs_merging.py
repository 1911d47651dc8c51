"""One query is one example: what merging keeps, counts and hashes."""

from pathlib import Path
from typing import Any

import pytest

from indexer.errors import ClozeError
from tests.training.pairs.written import write_lines
from training.pairs.example import Example
from training.pairs.merging import UNKNOWN_QUERY
from training.pairs.reading import Pairs, read_pairs

LINES: list[dict[str, Any]] = [
    {"query": "First query", "positive": "A", "negatives": ["x", "B"]},
    {"query": "second", "positive": "C"},
    {"query": "first  QUERY", "positives": ["b", "a"], "negatives": ["X", "y"]},
    {"query": "third", "positive": "Third"},
]


def read(folder: Path, lines: list[dict[str, Any]], negatives: str | None = None) -> Pairs:
    return read_pairs([write_lines(folder / "a.jsonl", lines)], negatives=negatives)


def test_one_query_is_one_example(tmp_path: Path) -> None:
    pairs = read(tmp_path, LINES)
    # The first spelling of a text is what stays, of `B` that of a negative.
    assert pairs.examples == (
        Example(query="First query", positives=("A", "B"), negatives=("x", "y")),
        Example(query="second", positives=("C",)),
        Example(query="third", positives=("third",)),
    )
    assert pairs.report.merged == {
        "rows of a query that came before": 1,
        "positives given again": 1,
        "negatives given again": 1,
        "negatives that are a positive of the query": 1,
    }
    assert pairs.report.own_positive == 1


def test_examples_of_several_files_are_one(tmp_path: Path) -> None:
    paths = [write_lines(tmp_path / f"{n}.jsonl", LINES[n : n + 2]) for n in (0, 2)]
    assert read_pairs(paths).examples == read(tmp_path, LINES).examples
    assert [file.rows for file in read_pairs(paths).report.files] == [2, 2]


def test_the_hash_is_of_the_examples_alone(tmp_path: Path) -> None:
    first = read(tmp_path, LINES)
    repeated = read(tmp_path, [*LINES, LINES[0]])
    assert first.content_hash == repeated.content_hash
    scored = [*LINES[:3], LINES[3] | {"scores": [0.5]}]
    other = [*LINES[:3], LINES[3] | {"scores": [0.25]}]
    moved = [LINES[0] | {"positive": "x", "negatives": ["A", "B"]}, *LINES[1:]]
    listed = [LINES, LINES[::-1], LINES[:3], scored, other, moved]
    assert len({read(tmp_path, lines).content_hash for lines in listed}) == len(listed)


def test_scores_of_some_passages_only_are_not_used(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"query": "q", "positive": "p", "negative": "n", "scores": [2, 1]},
        {"query": "q", "positive": "P", "negative": "m", "scores": [9, 0]},
        {"query": "r", "positive": "s", "scores": [3]},
        {"query": "r", "positive": "t"},
    ]
    pairs = read(tmp_path, lines)
    assert [each.scores for each in pairs.examples] == [(2, 1, 0), None]
    assert (pairs.report.scored, pairs.report.partly_scored) == (1, 1)


def test_negatives_of_another_file(tmp_path: Path) -> None:
    pairs = [{"query": "Q", "positive": "p"}, {"query": "r", "positive": "s", "negative": "o"}]
    mined = [
        {"query": "q", "positives": ["P"], "negatives": ["n", "p"], "scores": [3, 1, 3]},
        {"query": "unknown", "positives": ["u"], "negatives": ["v"]},
        {"query": "r", "negatives": ["m"]},
    ]
    path = write_lines(tmp_path / "mined.jsonl", mined)
    found = read(tmp_path, pairs, negatives=path)
    assert found.examples == (
        Example(query="Q", positives=("p",), negatives=("n",), scores=(3, 1)),
        Example(query="r", positives=("s",), negatives=("o", "m")),
    )
    assert found.report.files[1].left_out == {UNKNOWN_QUERY: 1}
    assert found.report.files[1].rows == 2
    with pytest.raises(ClozeError, match=r"mined\.jsonl has negatives of no query that the pairs"):
        read(tmp_path, [{"query": "z", "positive": "p"}], negatives=path)


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    told: list[tuple[int, float | None]] = []
    lines = [{"query": f"q{number}", "positive": f"p{number}"} for number in range(2000)]
    path = write_lines(tmp_path / "mined.jsonl", lines)
    read_pairs([path], negatives=path, progress=lambda done, share: told.append((done, share)))
    assert told[-1] == (4000, 1.0)
    shares = [share or 0.0 for _, share in told]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5 < shares[-2] < 1
