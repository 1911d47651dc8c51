"""CSV and TSV: headers, quoting, numbers, bad rows, and the way back from the csv module."""

import csv
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.corpus import Corpus, Fields
from indexer.documents import Document
from indexer.errors import ClozeError

MIB = 2**20


def write(folder: Path, data: str | bytes, name: str = "c.csv") -> str:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def test_hand_made_csv(tmp_path: Path) -> None:
    data = (
        '\ufeffid,title,text,year\r\n\r\n1,"A, b","say ""hi""\r\nthere",1999\r\n'
        '   \r\n2,,5" pipe,07\r\n'
    )
    corpus = Corpus([write(tmp_path, data)])
    seen = [(document, corpus.where().rpartition(":")[2]) for document in corpus]
    assert seen == [
        (Document(id="1", title="A, b", text='say "hi"\nthere', metadata={"year": 1999}), "3"),
        (Document(id="2", text='5" pipe', metadata={"year": "07"}), "6"),
    ]


def test_tsv(tmp_path: Path) -> None:
    data = 'docid\tcontents\tlang\n007\ta, "b" c\ten\nx\t"tab\there"\tde\n'
    first, second = Corpus([write(tmp_path, data, "c.TSV")])
    assert first == Document(id="007", text='a, "b" c', metadata={"lang": "en"})
    assert second == Document(id="x", text="tab\there", metadata={"lang": "de"})


def test_chosen_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "url,id,words\nu,1,w\n")
    [document] = Corpus([path], fields=Fields(id="url", text="words"))
    assert document == Document(id="u", text="w", metadata={"id": 1})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", 0), ("-7", -7), ("123456789012345678901", 123456789012345678901),
        ("1.5", 1.5), ("-0.0", -0.0), ("1e+20", 1e20), ("1e-07", 1e-07),
        ("007", "007"), ("+1", "+1"), ("-0", 0), ("1_000", "1_000"), (" 1", " 1"), ("٣", "٣"),
        ("12.50", 12.5), ("0.10", 0.1), (".5", ".5"), ("1e5", 1e5), ("1E+20", 1e20),
        ("nan", "nan"), ("inf", "inf"), ("-inf", "-inf"), ("1e999", "1e999"), ("", ""),
        ("9" * 5000, "9" * 5000), ("True", "True"),
    ],
)  # fmt: skip
def test_plain_numbers(tmp_path: Path, written: str, expected: str | int | float) -> None:
    [document] = Corpus([write(tmp_path, f"id,text,v\n1,2,{written}\n")])
    assert (document.id, document.text) == ("1", "2")
    value = document.metadata["v"]
    assert (type(value), repr(value)) == (type(expected), repr(expected))


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("a,text", "no id field: expected _id or id or docid, found 'a', 'text'"),
        ("id,words", "no text field: expected text or contents or body, found 'id', 'words'"),
        ("id,text,m,m", "the header names 'm' twice"),
        ('id,"text', "in the header: not a row: unexpected end of data"),
        ("id,text," + "m" * 100, "in the header: a document of more than"),
    ],
)
def test_bad_header_stops_the_run_even_with_skip_bad(
    tmp_path: Path, header: str, problem: str
) -> None:
    path = write(tmp_path, header + "\n1,x\n")
    with pytest.raises(ClozeError) as caught:
        list(Corpus([path], skip_bad=True, max_document_mib=90 / MIB))
    assert str(caught.value).startswith(f"{path}:1: ")
    assert problem in str(caught.value)


def test_chosen_title_must_be_in_the_header(tmp_path: Path) -> None:
    path = write(tmp_path, "id,text\n1,x\n")
    with pytest.raises(ClozeError, match="no title field: expected 'headline', found 'id', 'text'"):
        list(Corpus([path], fields=Fields(title="headline")))


@pytest.mark.parametrize(
    ("row", "problem", "lines"),
    [
        (b"b,x,y", "3 fields where the header names 2", 1),
        (b"b", "1 fields where the header names 2", 1),
        (b'b,"x"y', "not a row: ',' expected after '\"'", 1),
        (b"b,x\ry", "not a row: new-line character seen in unquoted field", 1),
        (b"b,\xff", "byte 0xff at offset 2 is not UTF-8", 1),
        (b'b,"\n\xff\n"', "byte 0xff at offset 0 is not UTF-8", 3),
        (b",x", "the id is empty", 1),
        (b"b," + b"x" * 60, "a document of more than", 1),
        (b'b,"' + b"x" * 60 + b'"', "a document of more than", 1),
        (b'b,"x\n""' + b"x" * 60 + b'"",\n\n"', "a document of more than", 4),
        (b'b,"' + b"x\n" * 30 + b'"', "a document of more than", 31),
        (b'b"c,' + b'x"' * 31, "a document of more than", 1),
        (b'"","",' + b'""' * 31, "a document of more than", 1),
    ],
)
def test_bad_row_is_skipped_to_its_end(
    tmp_path: Path, row: bytes, problem: str, lines: int
) -> None:
    path = write(tmp_path, b"id,text\na,x\n" + row + b"\nc,z\n")
    corpus = Corpus([path], skip_bad=True, max_document_mib=59 / MIB)
    seen = [(document.id, document.text, corpus.where()) for document in corpus]
    assert seen == [("a", "x", f"{path}:2"), ("c", "z", f"{path}:{3 + lines}")]
    assert corpus.counts.skipped == 1
    assert corpus.counts.skipped_examples[0].startswith(f"{path}:3: {problem}")
    with pytest.raises(ClozeError, match=r":3: .*, or pass --skip-bad"):
        list(Corpus([path], max_document_mib=59 / MIB))


def test_limit_counts_the_bytes_of_a_row_without_its_end(tmp_path: Path) -> None:
    row = '1,"é\nx"'.encode()
    path = write(tmp_path, b"id,text\n" + row + b"\r\n")
    assert len(list(Corpus([path], max_document_mib=len(row) / MIB))) == 1
    with pytest.raises(ClozeError, match=":2: a document of more than"):
        list(Corpus([path], max_document_mib=(len(row) - 1) / MIB))


def test_quote_never_closed_is_bad(tmp_path: Path) -> None:
    corpus = Corpus([write(tmp_path, 'id,text\na,x\nb,"y\nc,z\n')], skip_bad=True)
    assert [document.id for document in corpus] == ["a"]
    assert "unexpected end of data" in corpus.counts.skipped_examples[0]


def test_field_longer_than_the_csv_module_allows_by_default(tmp_path: Path) -> None:
    [document] = Corpus([write(tmp_path, "id,text\n1," + "x" * 200_000)])
    assert len(document.text) == 200_000


IDS = st.text(min_size=1).filter(
    lambda text: text.strip() and not any(unicodedata.category(char) == "Cc" for char in text)
)
VALUES = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text().map(lambda text: "x" + text)
)
ROWS = st.lists(st.tuples(IDS, st.text(), st.text(), VALUES), max_size=5)


def normal(text: str) -> str:
    """Apply the documented rule character by character, as a second opinion."""
    return "".join(
        " " if unicodedata.category(char) == "Cc" and char not in "\n\t" else char
        for char in text.replace("\r\n", "\n")
    )


@given(rows=ROWS, quote_all=st.booleans(), tabs=st.booleans())
def test_what_the_csv_module_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str, str | int | float]],
    quote_all: bool,
    tabs: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / ("round.tsv" if tabs else "round.csv")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(
            stream,
            "excel-tab" if tabs else "excel",
            quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
        )
        writer.writerow(["v", "text", "title", "id"])
        writer.writerows([value, text, title, key] for key, title, text, value in rows)
    assert list(Corpus([str(path)])) == [
        Document(id=key, title=normal(title), text=normal(text), metadata={"v": value})
        for key, title, text, value in rows
    ]


@given(st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"x", b"\xff", b"\xc3\xa9"])))
def test_any_bytes_are_documents_or_bad_rows(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    data = b"id,text\n" + b"".join(pieces) + b'\n"\n'
    path = write(tmp_path_factory.getbasetemp(), data, "fuzz.csv")
    # The limit of a few bytes sends rows the way of the too long as well.
    for limit in (12 / MIB, 1):
        corpus = Corpus([path], skip_bad=True, max_document_mib=limit)
        documents = list(corpus)
        assert corpus.counts.read == len(documents)
        if corpus.counts.skipped:
            with pytest.raises(ClozeError, match="--skip-bad"):
                list(Corpus([path], max_document_mib=limit))


@given(
    long=st.lists(st.sampled_from(["", "a", '"', ",", "\n", '"",', "\t\r\n"]), min_size=1),
    tabs=st.booleans(),
    quote_all=st.booleans(),
)
def test_row_too_long_ends_where_the_csv_module_ended_it(
    tmp_path_factory: pytest.TempPathFactory, long: list[str], tabs: bool, quote_all: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / ("long.tsv" if tabs else "long.csv")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(
            stream,
            "excel-tab" if tabs else "excel",
            quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
        )
        writer.writerow(["id", "text"])
        writer.writerow(["long", "y" * 20 + "".join(long)])
        writer.writerow(["next", "z"])
    corpus = Corpus([str(path)], skip_bad=True, max_document_mib=20 / MIB)
    assert [document.id for document in corpus] == ["next"]
    assert corpus.counts.skipped == 1
