"""Query files: what is a query, and where the first bad line is."""

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import ClozeError
from search.queries import read_queries


def test_queries_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"_id": "b", "text": "one"}\n\n{"id": 7, "text": "用", "more": 1}\n')
    assert list(read_queries(str(path))) == [("b", "one"), ("7", "用")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.jsonl", '{"_id": "b", "text": "one"}\n{"_id": "7", "text": "用 2"}\n'),
        ("q.tsv", "b\tone\n\n7\t用 2\r\n"),
        ("Q.TSV", "b\tone\n7\t 用 2"),
    ],
)
def test_every_format_plain_and_compressed(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    expected = [("b", "one"), ("7", "用 2")]
    assert list(read_queries(str(tmp_path / name))) == expected
    assert list(read_queries(str(packed))) == expected


def test_a_question_is_known_by_the_hash_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    path.write_text("why is the sky blue\n\n  what is\tBERT?\r\n")
    # printf 'why is the sky blue' | sha256sum
    first, second = read_queries(str(path))
    assert first == ("4c216839", "why is the sky blue")
    assert second == (hashlib.sha256(b"what is\tBERT?").hexdigest()[:8], "what is\tBERT?")


@given(st.lists(st.text("abc ", min_size=1).map(str.strip).filter(bool), unique=True), st.data())
def test_another_line_changes_no_other_id(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "questions.txt"
    path.write_text("\n".join(lines))
    before = list(read_queries(str(path)))
    at = data.draw(st.integers(0, len(lines)))
    path.write_text("\n".join([*lines[:at], "a new one", *lines[at:]]))
    after = list(read_queries(str(path)))
    assert after[:at] + after[at + 1 :] == before
    assert after[at][1] == "a new one"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'{"_id": "a", "text": "x"}\n\n{"_id": "a", "text": "y"}',
            ":3: the query id 'a' comes twice, first in line 1",
        ),
        (b'\n{"_id": "a"}', ":2: not a query"),
        (b'["a", "x"]', ":1: not a query"),
        (b'{"_id": "a", "text"', ":1: not a query"),
        (b'{"_id": "", "text": "x"}', ":1: a query needs an id"),
        (b'{"_id": true, "text": "x"}', ":1: a query needs an id"),
        (b'{"_id": "a", "text": 5}', ":1: a query needs an id and a text"),
        (b'{"_id": "b", "text": "x"}\n{"_id": "a", "text": "\xff"}', ":2: not UTF-8"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_bytes(content)
    with pytest.raises(ClozeError, match=message) as error:
        list(read_queries(str(path)))
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.tsv", "a\tx\nb y\n", ":2: not a query; write an id, a tab and the text"),
        ("q.tsv", "a\tx\n \ty\n", ":2: not a query"),
        ("q.tsv", "a\tx\na\ty\n", ":2: the query id 'a' comes twice"),
        ("q.txt", "who\nwhat\nwho\n", ":3: the query id '.*' comes twice, first in line 1"),
    ],
)
def test_bad_lines_of_other_formats(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ClozeError, match=message):
        list(read_queries(str(path)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="No such file"):
        list(read_queries(str(tmp_path / "none.jsonl")))
