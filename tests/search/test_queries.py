"""Query files: what is a query, and where the first bad line is."""

import codecs
import gzip
import hashlib
import io
import os
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import ClozeError
from search.files import text_lines
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
    assert first == ("4c216839c0f84563", "why is the sky blue")
    assert second == (hashlib.sha256(b"what is\tBERT?").hexdigest()[:16], "what is\tBERT?")


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
        (b'{"_id": "b", "text": "x"}\n{"_id": "\\ud800", "text": "x"}', ":2: half of an escaped"),
        (b'{"_id": "a", "text": "x\\udfffy"}', ":1: half of an escaped character"),
        (b'{"_id": "b", "text": "\xed\xa0\x80"}', ":1: not UTF-8"),
        (b'\xef\xbb\xbf{"_id": "b", "text": "x"}\r{"_id": "a", "text": "\xff"}', ":2: not UTF-8"),
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
        ("q.txt", "who\nwhat\nwho\n", ":3: the question is that of line 1; keep one of the two"),
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


def test_an_id_stands_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "q.tsv"
    path.write_text("a \t one \n a\ttwo\n")
    assert list(read_queries(str(path))) == [("a ", "one"), (" a", "two")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"a\tx\n" * 50 + b"b\t\xff\n", mtime=0)[:-3], "q.tsv.gz:51: not UTF-8"),
        (gzip.compress(b"a\tx\nb\ty\n", mtime=0)[:-9], r"q\.tsv\.gz: the gzip data is damaged"),
        (gzip.compress(b"a\t\xff" * 99, mtime=0)[:-9], r"q\.tsv\.gz: the gzip data is damaged"),
        (b"a\tx\n", r"q\.tsv\.gz: the gzip data is damaged"),
    ],
    ids=["not UTF-8", "cut in a line", "cut", "not gzip"],
)
def test_damaged_gzip_data_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "q.tsv.gz"
    path.write_bytes(content)
    with pytest.raises(ClozeError, match=message):
        for _ in text_lines(path):
            pass


@pytest.mark.parametrize("line", [b"ok", b"\xff"])
def test_a_pipe_is_read_once(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    writer = Thread(target=path.write_bytes, args=(b"x\n" * 9000 + line,))
    writer.start()
    try:
        if line == b"ok":
            assert list(text_lines(path))[-1] == (9001, "ok")
        else:
            with pytest.raises(ClozeError, match=r"pipe\.txt:9001: not UTF-8"):
                list(text_lines(path))
    finally:
        writer.join(timeout=10)


# The beginning of a byte order mark alone is an empty file to Python.
@given(
    st.binary(max_size=40).filter(lambda data: data not in {b"\xef", b"\xef\xbb"})
    | st.text("é\r\n\ufeffx\u2028", max_size=40).map(str.encode)
)
def test_lines_are_those_of_the_whole_text(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.txt"
    path.write_bytes(content)
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        ends = before.replace("\r\n", "\n").replace("\r", "\n").count("\n")
        with pytest.raises(ClozeError, match=f":{ends + 1}: not UTF-8"):
            list(text_lines(path))
    else:
        expected = [*io.StringIO(text, newline=None)]
        assert list(text_lines(path)) == list(enumerate(expected, 1))
