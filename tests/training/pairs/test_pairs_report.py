from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.pairs.written import write_lines
from training.pairs.reading import read_pairs
from training.pairs.report import Spread, shortened, spread

LINES = [
    {"query": "one two three", "positives": ["a b", "c"], "negatives": ["n n n n", "m"], "id": 1},
    {"query": "four", "positive": "A  B", "negatives": ["n n n n"]},
    {"query": "five", "positive": "five", "split": "dev"},
    {"query": "six", "positive": "Six", "scores": [1]},
]


@given(st.lists(st.integers(0, 50), min_size=1))
def test_spread_is_numpy_s(values: list[int]) -> None:
    found = spread(Counter(values))
    percentiles = np.percentile(values, [50, 95], method="inverted_cdf")
    assert [found.p50, found.p95] == percentiles.tolist()
    assert found.mean == pytest.approx(np.mean(values))
    assert found.max == max(values)


def test_spread_of_nothing() -> None:
    assert spread(Counter()) == Spread(mean=0.0, p50=0, p95=0, max=0)


def test_by_hand(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", LINES)
    report = read_pairs([path]).report
    assert report.examples == 3
    assert report.positives == Spread(mean=4 / 3, p50=1, p95=2, max=2)
    assert report.negatives == Spread(mean=1, p50=1, p95=2, max=2)
    assert report.words == {
        "query": Spread(mean=5 / 3, p50=1, p95=3, max=3),
        "positive": Spread(mean=6 / 4, p50=1, p95=2, max=2),
        "negative": Spread(mean=3, p50=4, p95=4, max=4),
    }
    assert (report.own_positive, report.scored, report.partly_scored) == (1, 1, 0)
    assert (report.shared, report.most_shared, report.shared_text) == (1, 2, "a b")
    assert list(report.as_lines()) == [
        f"{path}: JSON lines, 3 rows",
        "          1 left out: of the split dev",
        "  fields that are not read: id",
        "3 examples, 1 with a teacher's scores",
        "                             mean     p50     p95     max",
        "  positives of a query        1.3       1       2       2",
        "  negatives of a query        1.0       1       2       2",
        "  words of a query            1.7       1       3       3",
        "  words of a positive         1.5       1       2       2",
        "  words of a negative         3.0       4       4       4",
        "          1 queries equal to a positive of theirs",
        "          1 passages are a positive of several queries, one of 2: a b",
    ]
    content = orjson.loads(orjson.dumps(report.as_json()))
    assert content["files"][0]["left_out"] == {"of the split dev": 1}
    assert content["words"]["query"]["p95"] == 3


def test_bad_lines_and_merged_ones_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_lines(path, [*LINES, LINES[0]])
    path.write_text(path.read_text() + "bad\n" * 5)
    told = list(read_pairs([str(path)], skip_bad=True).report.as_lines())
    assert "          5 left out: bad" in told
    assert sum(": not JSON: Expecting value at column 1" in line for line in told) == 3
    assert "          1 merged: rows of a query that came before" in told
    assert "          2 merged: positives given again" in told


def test_shortened() -> None:
    assert shortened("a\n b  c", 5) == "a b c"
    assert shortened("abcdef", 5) == "abcd…"
