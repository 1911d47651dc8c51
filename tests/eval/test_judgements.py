"""Judgements: both formats by hand, every malformed line named, round trips."""

import gzip
import os
import tracemalloc
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.judgements import read_qrels, write_qrels
from indexer.errors import ClozeError
from search.runs import column

# A byte order mark that begins a file is no part of its first id.
IDS = st.text(st.characters(exclude_characters="\ufeff", exclude_categories=["Cs"]), min_size=1)


def file(folder: Path, content: str, name: str = "qrels") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "content",
    [
        "q1 0 d1 2\nq1 0 d2 -1\n\nq2\t0\td1\t0\r\n",
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t-1\nq2\td1\t0\n",
        "q1\td1\t2\r\nq1\td2\t-1\r\n\r\nq2\td1\t0",
        "\ufeffq1\td1\t+2\nq1\td2\t-1\nq2\td1\t0\nq1\td1\t2",
        "  q1   Q0 d1\t2 \nq1 x d2 -1\nq2 0 d1 0\nq2 1 d1 0",
    ],
)
def test_the_same_judgements_however_they_are_written(tmp_path: Path, content: str) -> None:
    expected = {"q1": {"d1": 2, "d2": -1}, "q2": {"d1": 0}}
    assert read_qrels(file(tmp_path, content)) == expected
    packed = tmp_path / "qrels.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert read_qrels(packed) == expected


def test_white_space_in_ids_is_encoded(tmp_path: Path) -> None:
    path = file(tmp_path, "query 1\ta folder/b.txt\t1\n")
    assert read_qrels(path) == {"query%201": {"a%20folder/b.txt": 1}}


def test_ids_stand_as_they_are_written(tmp_path: Path) -> None:
    """Those of queries and documents do too."""
    path = file(tmp_path, " query-id\tcorpus-id \tscore\n q\td \t 1 \nq\td\t2\r\n")
    assert read_qrels(path) == {"%20q": {"d%20": 1}, "q": {"d": 2}}
    assert read_qrels(file(tmp_path, "a b\tc%20d\t1\nc d\ta%20b\t1\n")).keys() == {"a%20b", "c%20d"}


def test_a_contradiction_in_a_pipe_names_the_line_that_is_left(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = Thread(target=path.write_text, args=("q 0 d 1\nq 0 d 2\n",))
    writer.start()
    with pytest.raises(ClozeError, match=r"pipe:2: .*grade 2 .*and 1 in a line before; keep"):
        read_qrels(path)
    writer.join(timeout=10)


def test_judgements_take_no_memory_but_their_own(tmp_path: Path) -> None:
    rows = (f"q{n // 100} 0 document-{n} 1\n" for n in range(20_000))
    path = file(tmp_path, "".join(rows))
    read_qrels(path)  # what is kept for good is
    tracemalloc.start()
    try:
        qrels = read_qrels(path)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(map(len, qrels.values())) == 20_000
    assert peak < 1.2 * kept


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q 0 d 1\nq 0 d\n", ":2: 3 columns where a judgement has 4"),
        ("q 0 d 1 extra\n", ":1: 5 columns"),
        ("q d 1\n", ":1: 3 columns where a judgement has 4.*with tabs"),
        ("q\td\t1\nq\td2\n", ":2: 2 columns where a judgement has 3"),
        ("q\td\t1\n\td2\t1\n", ":2: 2 columns"),
        ("q 0 d 1.5\n", ":1: the grade '1.5' is not an integer"),
        ("q\td\t1\nq\td2\tyes\n", ":2: the grade 'yes' is not an integer"),
        ("query\tdocument\tgrade\n", ":1: the grade 'grade'"),
        ("q 0 d 1_0\n", ":1: the grade '1_0'"),
        ("q 0 d 99999999999\n", ":1: the grade '99999999999'"),
        ("q 0 d 1\n\nq 0 d 2\n", ":3: .*'d' has grade 2 for the query 'q', and 1 in line 1"),
        ("q 0 d 0\nq 0 d 0\nq 0 d 1\n", ":3: .*grade 1 .*and 0 in line 1"),
        ("q\td d\t0\nq\td\t0\n\nq\td\t1", ":4: .*'d' has grade 1 .*and 0 in line 2"),
        ("a b\td\t0\na%20b\te\t0\n", ":2: the ids 'a b' and 'a%20b' are one"),
        ("q\td%20d\t0\nr\td d\t0\n", ":2: the ids 'd%20d' and 'd d' are one"),
        ("q\td\t1\n \td2\t1\n", ":2: 2 columns where a judgement has 3"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = file(tmp_path, content)
    with pytest.raises(ClozeError, match=message) as error:
        read_qrels(path)
    assert str(error.value).startswith(f"{path}:")
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "qrels"
    path.write_bytes(b"q 0 d 1\n" * 3 + b"q 0 \xff 1\n")
    with pytest.raises(ClozeError, match=r"qrels:4: not UTF-8"):
        read_qrels(path)
    cut = tmp_path / "qrels.gz"
    cut.write_bytes(gzip.compress(b"q 0 d 1\n" * 1000)[:-9])
    with pytest.raises(ClozeError, match=r"qrels\.gz: the gzip data is damaged"):
        read_qrels(cut)
    with pytest.raises(ClozeError, match="none: No such file"):
        read_qrels(tmp_path / "none")


def test_written_by_hand(tmp_path: Path) -> None:
    qrels = {"q": {"a b": 1, "c": -2}}
    write_qrels(tmp_path / "out.qrels", qrels)
    assert (tmp_path / "out.qrels").read_text() == "q 0 a%20b 1\nq 0 c -2\n"
    write_qrels(tmp_path / "out.tsv", qrels)
    written = "query-id\tcorpus-id\tscore\nq\ta%20b\t1\nq\tc\t-2\n"
    assert (tmp_path / "out.tsv").read_text() == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.qrels", "out.tsv"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = file(tmp_path, "q 0 d 1\n")
    with pytest.raises(UnicodeEncodeError):
        write_qrels(path, {"q": {"\ud800": 1}})
    assert path.read_text() == "q 0 d 1\n"
    assert list(tmp_path.iterdir()) == [path]


@given(
    st.dictionaries(
        IDS, st.dictionaries(IDS, st.integers(-5, 5), min_size=1, max_size=4), max_size=4
    ),
    st.sampled_from(["out.qrels", "out.tsv"]),
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, qrels: dict[str, dict[str, int]], name: str
) -> None:
    # Two ids may be one once they are encoded.
    encoded = {
        column(query): {column(document): grade for document, grade in judged.items()}
        for query, judged in qrels.items()
    }
    path = tmp_path_factory.getbasetemp() / name
    write_qrels(path, encoded)
    assert read_qrels(path) == encoded
