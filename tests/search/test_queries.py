"""Query files: what is a query, and where the first bad line is."""

from pathlib import Path

import pytest

from indexer.errors import ClozeError
from search.queries import read_queries


def test_queries_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"_id": "b", "text": "one"}\n\n{"id": 7, "text": "用", "more": 1}\n')
    assert list(read_queries(str(path))) == [("b", "one"), ("7", "用")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}',
            ":2: the query id 'a' comes twice",
        ),
        (b'\n{"_id": "a"}', ":2: not a query"),
        (b'["a", "x"]', ":1: not a query"),
        (b'{"_id": "a", "text"', ":1: not a query"),
        (b'{"_id": "", "text": "x"}', ":1: a query needs an id"),
        (b'{"_id": true, "text": "x"}', ":1: a query needs an id"),
        (b'{"_id": "a", "text": 5}', ":1: a query needs an id and a text"),
        (b'{"_id": "a", "text": "\xff"}', ":1: not a query"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_bytes(content)
    with pytest.raises(ClozeError, match=message) as error:
        list(read_queries(str(path)))
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="No such file"):
        list(read_queries(str(tmp_path / "none.jsonl")))
