"""Parquet: types, rows that can't be read, damage, and that a file can't take the memory."""

import datetime
import decimal
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.corpus import Corpus, Fields
from indexer.documents import Document
from indexer.errors import ClozeError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
MIB = 2**20


def write(folder: Path, columns: dict[str, Any], name: str = "t.parquet", **options: Any) -> str:  # noqa: ANN401
    path = folder / name
    parquet.write_table(pa.table(columns), path, **options)
    return str(path)


def test_every_type_by_hand(tmp_path: Path) -> None:
    moment = datetime.datetime(2020, 1, 31, 12, 30, 0, 5)
    columns = {
        "docid": [7, 8],
        "title": ["T", None],
        "body": ["one", "two"],
        "whole": pa.array([2**63, 0], pa.uint64()),
        "float": [0.5, math.nan],
        "yes": [True, None],
        "list": [[1, None], []],
        "deep": [{"a": {"b": [moment.date()]}}, None],
        "date": [moment.date(), None],
        "time": pa.array([moment.time(), None]),
        "micro": pa.array([moment, None], pa.timestamp("us")),
        "nano": pa.array([1_000_001_999, None], pa.timestamp("ns")),
        "zone": pa.array([moment, None], pa.timestamp("ms", tz="+02:00")),
        "price": [decimal.Decimal("12.50"), None],
        "count": pa.array([decimal.Decimal(10**20), None], pa.decimal128(30, 0)),
        "span": pa.array([datetime.timedelta(seconds=1.5), None]),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())),
        "bytes": [b"\xc3\xa9", None],
        "class": pa.array(["x", None]).dictionary_encode(),
    }
    corpus = Corpus([write(tmp_path, columns)])
    seen = [(document, corpus.where()) for document in corpus]
    (first, where), (second, _) = seen
    assert (first.id, first.title, first.text, second.title) == ("7", "T", "one", "")
    assert where == f"{tmp_path / 't.parquet'}: row 1"
    assert dict(first.metadata) == {
        "whole": 2**63,
        "float": 0.5,
        "yes": True,
        "list": [1, None],
        "deep": {"a": {"b": ["2020-01-31"]}},
        "date": "2020-01-31",
        "time": "12:30:00.000005",
        "micro": "2020-01-31T12:30:00.000005",
        "nano": "1970-01-01T00:00:01.000001",
        "zone": "2020-01-31T14:30:00+02:00",
        "price": 12.5,
        "count": 10**20,
        "span": 1.5,
        "map": {"k": 1},
        "bytes": "é",
        "class": "x",
    }
    assert second.metadata == dict.fromkeys(first.metadata) | {"list": [], "whole": 0}


cells = st.one_of(st.none(), st.text(st.characters(exclude_categories=["C"])), st.just("7"))
tables = st.lists(st.tuples(cells, st.none() | st.integers(-5, 2**62)), min_size=1, max_size=40)


@settings(max_examples=5)
@given(rows=tables, group=st.integers(1, 20))
def test_rows_come_back_in_order(tmp_path: Path, rows: list[tuple[Any, Any]], group: int) -> None:
    columns = {
        "id": [f"d{number}" for number in range(len(rows))],
        "text": pa.array([text for text, _ in rows], pa.string()),
        "n": pa.array([number for _, number in rows], pa.int64()),
    }
    path = write(tmp_path, columns, row_group_size=group)
    corpus = Corpus([path])
    found, positions = [], []
    for document in corpus:
        found.append(document)
        positions.append(corpus.position())
    assert found == [
        Document(id=f"d{number}", text=text or "", metadata={"n": value})
        for number, (text, value) in enumerate(rows)
    ]
    assert positions == pytest.approx([n / len(rows) for n in range(1, len(rows) + 1)], abs=0.01)


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (pa.array([1.0, math.inf, 2.0]), "column 'x' holds an infinite number"),
        (pa.array([b"a", b"\xff", b"b"]), "column 'x' holds bytes that are not UTF-8"),
        (pa.array([0, 10**7, 1], pa.date32()), "column 'x' can't be read (.*)"),
    ],
)
def test_a_bad_value_costs_its_row_alone(tmp_path: Path, column: Any, problem: str) -> None:  # noqa: ANN401
    path = write(tmp_path, {"id": ["a", "b", "c"], "text": ["1", "2", "3"], "x": column})
    corpus = Corpus([path], skip_bad=True)
    assert [document.id for document in corpus] == ["a", "c"]
    with pytest.raises(ClozeError, match=f"t.parquet: row 2: {problem}"):
        list(Corpus([path]))


@pytest.mark.parametrize(
    ("names", "fields", "problem"),
    [
        (["id", "words"], Fields(), "in the schema: no text field: expected text or contents"),
        (["key", "text"], Fields(), "in the schema: no id field"),
        (["id", "text"], Fields(title="head"), "in the schema: no title field: expected 'head'"),
        (["id", "text", "x", "x"], Fields(), "the schema names 'x' twice"),
    ],
)
def test_columns_are_checked_at_once(
    tmp_path: Path, names: list[str], fields: Fields, problem: str
) -> None:
    path = str(tmp_path / "t.parquet")
    parquet.write_table(pa.Table.from_arrays([pa.array(["a"])] * len(names), names=names), path)
    with pytest.raises(ClozeError, match=problem):
        list(Corpus([path], fields=fields, skip_bad=True))


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    columns = {"id": [f"d{n}" for n in range(60)], "text": [f"text {n * n}" for n in range(60)]}
    path = write(tmp_path, columns, row_group_size=20, write_page_checksum=True, compression="none")
    return Path(path).read_bytes()


def test_truncated_and_damaged_files_end_in_a_line(tmp_path: Path, whole: bytes) -> None:
    at = whole.index(b"text 900")  # in the second of three groups, rows 21 to 40
    flipped = whole[:at] + b"T" + whole[at + 1 :]
    damage = {"cut": whole[:-9], "half": whole[: len(whole) // 2], "none": b"", "other": b"x" * 99}
    for name, data in damage.items():
        (tmp_path / f"{name}.parquet").write_bytes(data)
        corpus = Corpus([str(tmp_path / f"{name}.parquet")], skip_bad=True)
        assert list(corpus) == []
        assert f"{name}.parquet: row 1: no Parquet file: " in corpus.counts.skipped_examples[0]
    (tmp_path / "flipped.parquet").write_bytes(flipped)
    corpus = Corpus([str(tmp_path / "flipped.parquet")], skip_bad=True)
    assert [document.id for document in corpus] == [f"d{n}" for n in (*range(20), *range(40, 60))]
    assert "row 21: rows 21 to 40 are damaged" in corpus.counts.skipped_examples[0]


def test_cells_beyond_the_limit_are_not_held(tmp_path: Path) -> None:
    # 200 MiB that pack to a few kB; the process that reads them has 512 MiB and 16 times the limit.
    giant = pa.array(["a", "x" * (200 * MIB), "c"], pa.large_string())
    columns = {"id": ["1", "2", "3"], "text": giant}
    packed = {"use_dictionary": False, "compression": "zstd"}
    alone = write(tmp_path, columns, "alone.parquet", row_group_size=1, **packed)
    corpus = Corpus([alone], max_document_mib=1, skip_bad=True)
    assert [document.id for document in corpus] == ["1", "3"]
    assert corpus.counts.skipped_examples[0].endswith("a document of more than 1 MiB, the limit")
    among = write(tmp_path, columns, "among.parquet", **packed)
    corpus = Corpus([among], max_document_mib=1, skip_bad=True)
    assert [document.id for document in corpus] in ([], ["1", "3"])
    assert corpus.counts.skipped == 1


def test_rows_just_at_the_limit(tmp_path: Path) -> None:
    line = '{"id": "a", "text": "%s"}'
    path = write(tmp_path, {"id": ["a", "a"], "text": ["x" * 100, "x" * 101]})
    corpus = Corpus([path], skip_bad=True, max_document_mib=len(line % ("x" * 100)) / MIB)
    assert [len(document.text) for document in corpus] == [100]
    assert corpus.counts.skipped == 1


def children() -> set[str]:
    return set(Path("/proc/thread-self/children").read_text().split())


@pytest.mark.skipif(
    not Path("/proc/thread-self/children").exists(), reason="the kernel doesn't list children"
)
def test_a_stream_left_early_leaves_no_process(tmp_path: Path) -> None:
    before = children()
    path = write(tmp_path, {"id": list(map(str, range(50_000))), "text": ["x" * 99] * 50_000})
    stream = iter(Corpus([path]))
    assert next(stream).id == "0"
    assert children() > before
    stream.close()  # type: ignore[attr-defined]
    assert children() == before


def test_gzip_around_parquet_and_a_missing_package_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, {"id": ["a"], "text": ["x"]})
    packed = Path(f"{path}.gz")
    packed.write_bytes(Path(path).read_bytes())
    with pytest.raises(ClozeError, match="inside gzip; unpack it"):
        list(Corpus([str(packed)]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ClozeError) as caught:
        Corpus([path])
    assert str(caught.value) == (
        f'{path}: to read .parquet needs pyarrow; run: pip install "cloze-search[readers]"'
    )
