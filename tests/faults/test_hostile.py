"""Hostile corpora and filters: read, or refused in one line; `fuzz` runs thousands."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from indexer.corpus import Corpus
from indexer.creation import Settings
from indexer.errors import ClozeError
from indexer.index import Index
from indexer.verification import damage
from tests.faults.hostile import FILTERS, LIMIT_MIB, SEEDS, SUFFIXES, Ground

_RUNS = settings(max_examples=200)

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**63 - 2, 2**64),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["2020-01-02", "2020-13-40", "\ud800", "\x00", "\ufeff", "1e999", " "]),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda each: st.one_of(
        st.lists(each, max_size=4), st.dictionaries(st.text(max_size=5), each, max_size=3)
    ),
    max_leaves=8,
)
_NAMES = st.one_of(
    st.sampled_from(["_id", "id", "title", "text", "metadata", "n", ""]), st.text(max_size=6)
)
_RECORDS = st.dictionaries(_NAMES, _VALUES, max_size=6)
_WORDS = st.sampled_from(
    "n s d l `odd\\ name` 'x' \"a\" 1 -2.5 1e999 null true 2020-01-02 = != < >= in not and or "
    "( ) , $gt { } [ ] : ; -- /* \x00 搜索".split(" ")
)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    ground = Ground(tmp_path_factory.mktemp("hostile"))
    yield ground
    ground.close()


@st.composite
def _spoilt(draw: st.DrawFn) -> bytes:
    """A file that was good, with a few of its bytes replaced, taken out or doubled."""
    content = bytearray(draw(st.sampled_from(SEEDS))[1:])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=4)) * draw(
            st.sampled_from([1, 1, 300])
        )
    return bytes(content)


@_RUNS
@given(content=st.one_of(_spoilt(), st.binary(max_size=200)), suffix=st.sampled_from(SUFFIXES))
@example(content=b"[" * 100_000, suffix=".jsonl")
@example(content=b'{"a":' * 100_000, suffix=".json")
@example(content=b'{"_id": "a", "text": ' + b"1" * 100_000 + b"}", suffix=".jsonl")
@example(content=b'"' + b"a," * 200_000, suffix=".csv")
@example(content=b"\xff\xfe" + "id,text\n1,fox".encode("utf-16-le"), suffix=".csv")
def test_any_bytes_are_read_or_refused(ground: Ground, content: bytes, suffix: str) -> None:
    ground.read(content, suffix)


@_RUNS
@given(records=st.lists(_RECORDS, min_size=1, max_size=3))
def test_any_json_record_is_read_or_refused(ground: Ground, records: list[dict[str, Any]]) -> None:
    ground.read("\n".join(map(json.dumps, records)).encode(), ".jsonl")


def test_what_is_read_can_be_stored_and_read_back(ground: Ground, tmp_path: Path) -> None:
    found = {}
    for seed in SEEDS:
        for document in ground.read(seed[1:], SUFFIXES[seed[0]]):
            found[document.id] = document
    assert len(found) >= 5
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        index.add(found.values())
        assert {each.id: each for _, each in index.store.all_live()} == found
        assert damage(index) == []


@_RUNS
@given(text=st.one_of(st.lists(_WORDS, max_size=12).map(" ".join), st.text(max_size=40)))
@example(text="(" * 10_000)
@example(text="not " * 10_000 + "n = 1")
@example(text="n = 1 and " * 5_000 + "n = 1")
@example(text="n in (" + "1," * 50_000 + "1)")
@example(text='{"not":' * 10_000)
@example(text="\ud800 = 1")
def test_any_filter_is_understood_or_refused(ground: Ground, text: str) -> None:
    ground.ask(text)


@_RUNS
@given(value=_VALUES)
def test_any_json_filter_is_understood_or_refused(ground: Ground, value: object) -> None:
    ground.ask(json.dumps(value))
    ground.ask(json.dumps({"n": value}))


@pytest.mark.parametrize("text", FILTERS[:4])
def test_the_filters_that_fuzzing_begins_with_are_understood(ground: Ground, text: str) -> None:
    before = ground.refused
    ground.ask(text)
    assert ground.refused == before


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A line of 64 MiB is refused at the limit, not held."""
    path = tmp_path / "long.jsonl"
    with path.open("w") as file:
        file.write('{"_id": "a", "text": "')
        for _ in range(64):
            file.write("x" * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(ClozeError, match=r"long\.jsonl"):
            list(Corpus([str(path)], max_document_mib=LIMIT_MIB))
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
