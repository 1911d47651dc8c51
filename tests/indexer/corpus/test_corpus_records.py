"""The rules that every record meets, whatever file it comes from."""

import json
import math
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.corpus import Corpus, Fields
from indexer.documents import Document
from indexer.errors import ClozeError


def read_line(folder: Path, line: str | bytes, fields: Fields | None = None) -> Document:
    path = folder / "one.jsonl"
    path.write_bytes(line if isinstance(line, bytes) else line.encode())
    [document] = Corpus([str(path)], fields=fields or Fields())
    return document


def refusal(folder: Path, line: str | bytes) -> str:
    with pytest.raises(ClozeError) as caught:
        read_line(folder, line)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{folder / 'one.jsonl'}:1: ")
    assert message.endswith(", or pass --skip-bad")
    return message


@pytest.mark.parametrize("id_name", ["_id", "id", "docid"])
@pytest.mark.parametrize("text_name", ["text", "contents", "body"])
def test_usual_names(tmp_path: Path, id_name: str, text_name: str) -> None:
    line = json.dumps({id_name: "a", "title": "T", text_name: "x", "year": 1999, "tags": ["u"]})
    expected = Document(id="a", title="T", text="x", metadata={"year": 1999, "tags": ["u"]})
    assert read_line(tmp_path, line) == expected


def test_first_usual_name_wins_and_the_others_are_metadata(tmp_path: Path) -> None:
    line = '{"docid": "c", "id": "b", "_id": "a", "body": "z", "contents": "y", "text": "x"}'
    document = read_line(tmp_path, line)
    assert (document.id, document.text) == ("a", "x")
    assert document.metadata == {"id": "b", "docid": "c", "contents": "y", "body": "z"}


def test_chosen_names_replace_the_usual_ones(tmp_path: Path) -> None:
    line = '{"url": "u", "id": 7, "head": "H", "title": "T", "content": "C", "text": "X"}'
    document = read_line(tmp_path, line, fields=Fields(id="url", title="head", text="content"))
    assert (document.id, document.title, document.text) == ("u", "H", "C")
    assert document.metadata == {"id": 7, "title": "T", "text": "X"}


def test_metadata_object_is_merged_and_other_metadata_is_a_field(tmp_path: Path) -> None:
    merged = read_line(tmp_path, '{"id": "a", "text": "x", "n": 1, "metadata": {"m": null}}')
    assert merged.metadata == {"n": 1, "m": None}
    plain = read_line(tmp_path, '{"id": "a", "text": "x", "metadata": "free"}')
    assert plain.metadata == {"metadata": "free"}


def test_metadata_conflict_is_bad(tmp_path: Path) -> None:
    message = refusal(tmp_path, '{"id": "a", "text": "x", "n": 1, "metadata": {"n": 1}}')
    assert "'n' is given both" in message


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"text": "x"}, "no id field: expected _id or id or docid, found 'text'"),
        ({"id": "a", "content": "x"}, "no text field: expected text or contents or body"),
        ({"id": "", "text": "x"}, "the id is empty"),
        ({"id": None, "text": "x"}, "the id is empty"),
        ({"id": " \u00a0", "text": "x"}, "the id is blank"),
        ({"id": True, "text": "x"}, "the id is true or false"),
        ({"id": 1.0, "text": "x"}, "the id is a number"),
        ({"id": ["a"], "text": "x"}, "the id is a list"),
        ({"id": "a\tb", "text": "x"}, "the id has a control character"),
        ({"id": "a\nb", "text": "x"}, "the id has a control character"),
        ({"id": "a\x85", "text": "x"}, "the id has a control character"),
        ({"id": "a", "text": ["x", 1]}, "the text is a list"),
        ({"id": "a", "text": {"x": 1}}, "the text is an object"),
        ({"id": "a", "text": 3}, "the text is a number"),
        ({"id": "a", "title": 3, "text": "x"}, "the title is a number"),
        ({"id": "\ud800", "text": "x"}, "the id has half a surrogate"),
        ({"id": "a", "title": "\udfff", "text": "x"}, "the title has half a surrogate"),
        ({"id": "a", "text": "x\udc00y"}, "the text has half a surrogate"),
        ({"id": "a", "text": "x", "m": [{"k": "\ud83d"}]}, "the metadata has half a surrogate"),
        ({"id": "a", "text": "x", "m": {"\ud83d": 1}}, "the metadata has half a surrogate"),
    ],
)
def test_bad_values(tmp_path: Path, record: dict[str, Any], problem: str) -> None:
    assert problem in refusal(tmp_path, json.dumps(record))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"id": "a", "text": "x"', "not JSON: "),
        (b'["a", "x"]', "not a JSON object"),
        (b'"a"', "not a JSON object"),
        (b'{"id": "a", "text": "x", "m": NaN}', "NaN is not JSON"),
        (b'{"id": "a", "text": "x", "m": [-Infinity]}', "-Infinity is not JSON"),
        (b'{"id": "a", "text": "x", "m": {"k": 1e999}}', "too large for a float"),
        (b'{"id": "a", "text": "x\xff"}', "byte 0xff at offset 22 is not UTF-8"),
        (b'{"id": "a", "text": "\xed\xa0\x80"}', "byte 0xed at offset 21 is not UTF-8"),
        (b'{"id": "a", "text": "x", "m": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"id": "a", "text": "x", "m": ' + b"[" * 101 + b"]" * 101 + b"}", "deeper than 100"),
        (b'{"id": "a", "text": "x", "m": ' + b"[" * 200_000, "nested too deep"),
        ('{"id": "a", "text": "x"}'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_bad_lines(tmp_path: Path, line: bytes, problem: str) -> None:
    assert problem in refusal(tmp_path, line)


def test_good_edges(tmp_path: Path) -> None:
    nested: Any = 0
    for _ in range(99):
        nested = [nested]
    line = json.dumps(
        {"id": 12345678901234567890, "title": None, "text": "\U0001f600", "m": nested}
    )
    document = read_line(tmp_path, line)
    expected = Document(id="12345678901234567890", text="\U0001f600", metadata={"m": nested})
    assert document == expected


def test_missing_title_and_null_text_are_empty(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(
        '{"id": "a", "text": null}\n{"id": "b", "text": " \\n\\t "}\n{"id": 3, "text": "x"}'
    )
    corpus = Corpus([str(path)])
    assert [(each.title, each.text) for each in corpus] == [("", ""), ("", " \n\t "), ("", "x")]
    assert (corpus.counts.read, corpus.counts.empty) == (3, 2)


def test_control_characters_become_spaces_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    records = [
        {"id": "a", "title": "t\x00", "text": "x\r\ny\rz\x1b\x9f\t\n"},
        {"id": "b", "title": "t", "text": "only\r\nnew lines\u2028"},
        {"id": "c", "title": "", "text": "\x07", "m": "\x07 stays"},
    ]
    path.write_text("\n".join(map(json.dumps, records)))
    corpus = Corpus([str(path)])
    a, b, c = corpus
    assert (a.title, a.text) == ("t ", "x\ny z  \t\n")
    assert (b.title, b.text) == ("t", "only\nnew lines\u2028")
    assert (c.text, c.metadata) == (" ", {"m": "\x07 stays"})
    assert corpus.counts.control_characters == 2
    assert corpus.counts.empty == 1


IDS = st.text(min_size=1).filter(
    lambda text: text.strip() and not any(unicodedata.category(char) == "Cc" for char in text)
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
RESERVED = {"_id", "id", "docid", "title", "text", "contents", "body", "metadata"}
DOCUMENTS = st.builds(
    Document,
    id=IDS,
    title=st.text(),
    text=st.text(),
    metadata=st.dictionaries(
        st.text().filter(lambda name: name not in RESERVED), VALUES, max_size=3
    ),
)


def normal(text: str) -> str:
    """Apply the documented rule character by character, as a second opinion."""
    return "".join(
        " " if unicodedata.category(char) == "Cc" and char not in "\n\t" else char
        for char in text.replace("\r\n", "\n")
    )


@given(documents=st.lists(DOCUMENTS, max_size=4), ascii_only=st.booleans())
def test_json_lines_come_back(
    tmp_path_factory: pytest.TempPathFactory, documents: list[Document], ascii_only: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    with path.open("w", encoding="utf-8", newline="") as stream:
        for each in documents:
            record = {"_id": each.id, "title": each.title, "text": each.text, **each.metadata}
            stream.write(json.dumps(record, ensure_ascii=ascii_only) + "\n")
    corpus = Corpus([str(path)])
    expected = [
        Document(
            id=each.id, title=normal(each.title), text=normal(each.text), metadata=each.metadata
        )
        for each in documents
    ]
    assert list(corpus) == expected
    assert corpus.counts.read == len(documents)
    assert corpus.counts.empty == sum(not each.text.strip() for each in expected)


@given(
    st.lists(
        st.binary(max_size=40)
        | st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(sorted(RESERVED)), inner)
            ),
        ).map(lambda value: json.dumps(value).encode()),
        max_size=6,
    )
)
def test_any_bytes_are_documents_or_bad_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    path.write_bytes(b"\n".join(lines))
    corpus = Corpus([str(path)], skip_bad=True)
    documents = list(corpus)
    for each in documents:
        json.dumps([each.id, each.title, each.text, each.metadata], allow_nan=False)
        each.text.encode()
    data = b"\n".join(lines).removeprefix(b"\xef\xbb\xbf")
    not_blank = sum(bool(line) and not line.isspace() for line in data.split(b"\n"))
    assert len(documents) + corpus.counts.skipped == not_blank
    strict = Corpus([str(path)])
    if corpus.counts.skipped:
        with pytest.raises(ClozeError, match="--skip-bad"):
            list(strict)
    else:
        assert list(strict) == documents


@pytest.mark.parametrize("limit", [0, -1, math.nan, math.inf])
def test_limit_that_limits_nothing_is_refused(limit: float) -> None:
    with pytest.raises(ClozeError, match="give a number above 0"):
        Corpus([], max_document_mib=limit)
