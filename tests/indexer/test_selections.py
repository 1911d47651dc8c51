"""Selections by metadata: every share of the documents, what is remembered, reports and counts."""

import json
import re
import sqlite3
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.commands.look import info
from indexer.creation import Settings
from indexer.documents import Document
from indexer.filters import FilterError, facets, parse, selection
from indexer.filters.counting import FieldReport, Values
from indexer.filters.selection import Remembered
from indexer.index import Index
from indexer.records import Entry
from indexer.store import Store
from indexer.verification import verify

Passes = Callable[[Any], bool]  # of metadata
COUNT = 2_000


def write(store: Store, documents: Mapping[str, Mapping[str, Any]]) -> int:
    entries = [
        Entry(
            document=Document(id=name, text="", metadata=dict(metadata)), text_hash=b"",
            metadata_hash=b"", passages=(), tokens=0, dropped=0,
        )
        for name, metadata in documents.items()
    ]  # fmt: skip
    with store.transaction():
        return store.write(entries)


def delete(store: Store, *ids: str) -> None:
    with store.transaction():
        store.delete(ids)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def made(choose: Random, place: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "place": place,
        "lang": choose.choice(["en", "en", "de", None]),
        "tags": choose.sample(["x", "y", "z", 1, True], choose.randint(0, 3)),
        "day": str(date(2020, 1, 1) + timedelta(days=choose.randrange(1000))),
    }
    if choose.random() < 0.5:
        metadata["half"] = choose.choice([choose.random(), "mixed", False])
    return metadata


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[int, Any]]]:
    """A store of documents in shuffled order, a quarter replaced or deleted, and what is in it."""
    choose = Random(0)
    opened = Store(tmp_path_factory.mktemp("many") / "store.sqlite")
    places = choose.sample(range(COUNT), COUNT)
    live = {f"d{n}": made(choose, place) for n, place in enumerate(places)}
    write(opened, live | {f"d{n}": made(choose, places[n]) for n in range(0, COUNT, 4)})
    write(opened, {f"gone{n}": made(choose, n) for n in range(200)})
    write(opened, {f"d{n}": live[f"d{n}"] for n in range(0, COUNT, 4)})
    delete(opened, *(f"gone{n}" for n in range(200)))
    numbers = {name: row.number for name, row in opened.live(list(live)).items()}
    yield opened, {numbers[name]: metadata for name, metadata in live.items()}
    opened.close()


# Filters with what they mean, to be joined at random.
FURTHER: list[tuple[str, Passes]] = [
    ("lang = en", lambda m: m["lang"] == "en"),
    ("lang in (de, null)", lambda m: m["lang"] in ("de", None)),
    ("tags = true", lambda m: any(tag is True for tag in m["tags"])),
    ("tags in (x, 1)", lambda m: any(tag == "x" or type(tag) is int for tag in m["tags"])),
    ("day >= 2020-07 and day < 2021-01-15", lambda m: "2020-07" <= m["day"] < "2021-01-15"),
    ("half exists", lambda m: "half" in m),
    ("half < 0.3", lambda m: isinstance(m.get("half"), float) and m["half"] < 0.3),
    ("half prefix mi", lambda m: m.get("half") == "mixed"),
]


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001, 0.0])
@settings(max_examples=25)
@given(data=st.data())
def test_every_share_of_the_documents_is_what_brute_force_finds(
    many: tuple[Store, dict[int, Any]], share: float, data: st.DataObject
) -> None:
    store, documents = many
    start = data.draw(st.integers(0, COUNT - round(share * COUNT)))
    end = start + round(share * COUNT)
    text = f"place >= {start} and place < {end}"

    passes: Passes = lambda m: bool(start <= m["place"] < end)  # noqa: E731
    assert len(store.matching(parse(text), store.sequence)) == end - start
    for further, means in data.draw(st.lists(st.sampled_from(FURTHER), max_size=3)):
        word, negated = data.draw(st.sampled_from(["and", "or"])), data.draw(st.booleans())
        text = f"({text}) {word} {'not ' * negated}({further})"
        passes = joined(passes, word, negated, means)
    expected = sorted(number for number, metadata in documents.items() if passes(metadata))
    assert store.matching(parse(text), store.sequence).tolist() == expected


def joined(first: Passes, word: str, negated: bool, second: Passes) -> Passes:
    if word == "and":
        return lambda m: first(m) and second(m) != negated
    return lambda m: first(m) or second(m) != negated


def test_what_is_asked_again_is_remembered_until_something_is_written(store: Store) -> None:
    write(store, {"a": {"n": 1}, "b": {"n": True}})
    first = store.matching(parse("n = 1"), 1)
    assert store.matching(parse(' {"n": {"eq": 1}} '), 1) is first
    assert store.matching(parse("n = true"), 1).tolist() == [2]  # to Python, True is 1
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 7
    write(store, {"c": {"n": 1}})
    assert store.matching(parse("n = 1"), 2).tolist() == [1, 3]
    assert store.matching(parse("n = 1"), 1).tolist() == [1]
    other = Store(store.path)
    delete(other, "a")
    assert [store.matching(parse("n = 1"), upto).tolist() for upto in (2, 3)] == [[1, 3], [3]]
    other.purge(other.sequence)
    other.close()
    assert [store.matching(parse("n = 1"), upto).tolist() for upto in (2, 3)] == [[3], [3]]
    assert store.numbers(3).tolist() == [2, 3]


def test_what_a_transaction_took_back_is_not_remembered(store: Store) -> None:
    write(store, {"a": {"n": 1}, "b": {"n": 1}})
    with pytest.raises(KeyError), store.transaction():
        store.delete(["a"])
        assert store.matching(parse("n = 1"), store.sequence).tolist() == [2]
        raise KeyError
    assert write(store, {}) == 2
    assert store.matching(parse("n = 1"), 2).tolist() == [1, 2]


def test_memory_is_bounded_and_keeps_what_was_used_last() -> None:
    remembered = Remembered(kept=10 + 2 * 64)
    asked: list[str] = []

    def get(name: str, size: int = 4) -> None:
        remembered.get(1, name, lambda: asked.append(name) or np.arange(size))  # type: ignore[func-returns-value]

    for name in ("a", "b", "a", "c", "a", "b"):  # c sends b away
        get(name)
    assert asked == ["a", "b", "c", "b"]
    get("large", 139)
    get("large", 139)
    get("a")
    assert asked[4:] == ["large", "a"]


def test_selections_of_nothing_take_room_too() -> None:
    remembered, asked = Remembered(kept=640), list[int]()
    for name in (*range(11), *range(1, 11), 0):
        remembered.get(1, name, lambda: asked.append(name) or np.arange(0))  # type: ignore[func-returns-value] # noqa: B023
    assert asked == [*range(11), 0]


def test_what_was_selected_before_a_write_is_forgotten(store: Store) -> None:
    write(store, {"a": {"n": 1}})
    before = weakref.ref(store.matching(parse("n = 1"), 1))
    assert before() is not None
    write(store, {"b": {"n": 1}})
    store.matching(parse("n = 1"), 2)
    assert before() is None


def test_a_selection_that_met_a_write_is_not_that_of_the_new_state() -> None:
    remembered = Remembered()

    def meet() -> NDArray[np.int64]:
        return remembered.get(2, "b", lambda: np.arange(3))[:1]

    assert len(remembered.get(1, "a", meet)) == 1
    assert len(remembered.get(2, "a", lambda: np.arange(2))) == 2


def test_a_wide_union_is_merged_as_it_grows(
    many: tuple[Store, dict[int, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, documents = many
    text = " or ".join(f"place < {n} or place > {n}" for n in (5, 500, 200))
    fewer = " or ".join(f"place = {n} or tags = x and place < {n}" for n in range(40))
    whole, part = (store.matching(parse(one), store.sequence).tolist() for one in (text, fewer))
    assert whole == sorted(documents) and 40 <= len(part) < 100
    monkeypatch.setattr(selection, "_MERGE_AT", 7)
    monkeypatch.setattr(store, "_remembered", Remembered())
    assert store.matching(parse(text), store.sequence).tolist() == whole
    assert store.matching(parse(fewer), store.sequence).tolist() == part


def test_a_field_counts_while_a_visible_document_has_it(store: Store) -> None:
    write(store, {"a": {"old": 1}, "b": {"year": 1}})
    write(store, {"a": {"year": 2}})
    assert store.matching(parse("old = 1"), 1).tolist() == [1]
    with pytest.raises(FilterError, match=r"unknown field 'old'\. The fields are 'year'$"):
        store.matching(parse("old = 1"), 2)
    with pytest.raises(FilterError, match="unknown field 'old'"):
        store.facet_counts(["year", "old"], [2, 3])
    assert list(store.field_report()) == ["year"]
    assert (store.kinds("old", 1), store.kinds("old", 2)) == (frozenset({2}), frozenset())
    assert store.kinds("\ud800", 2) == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year = 2000", []),
        ("year = '2000'", ["'year' holds numbers, never a string: the filter's '2000' matches no "
                           "document; write it without quotes"]),
        ("year != new", ["the filter's 'new' matches no document"]),
        ("date >= 2020 or date = 2021", ["'date' holds strings, never a number: the filter's 2020 "
                                         "matches no document; put it in quotes"]),
        ("flag in ('true', true)", ["'flag' holds booleans, .* write it without quotes"]),
        ("date = true", ["never a boolean: the filter's true .* put it in quotes"]),
        ("mixed in (1, a, null)", []),
        ("mixed = false", ["'mixed' holds nulls and numbers and strings, never a boolean"]),
        ("year prefix 20 and date < 3", ["write it without quotes$", "put it in quotes$"]),
        ("year = null or year exists or not date exists", []),
        ("unknown = 1", []),
    ],
)  # fmt: skip
def test_values_of_a_kind_that_no_document_has_are_told(
    store: Store, text: str, expected: list[str]
) -> None:
    write(
        store, {"a": {"year": 2000, "date": "2020-01-01", "flag": False, "mixed": [1, "a", None]}}
    )
    if "prefix" in text:
        text = text.replace("20 ", "'20' ")
    lines = store.misfits(parse(text), 1)
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected, strict=True):
        assert re.search(pattern, line) and "\n" not in line


def test_no_more_than_five_misfits_are_told(store: Store) -> None:
    write(store, {"a": {f"f{n}": n for n in range(9)}})
    assert len(store.misfits(parse(" and ".join(f"f{n} = x" for n in range(9))), 1)) == 5


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.5, 10**400, 2**63]),
    st.sampled_from(["", "a", "é", "2020-01-01", "2020-02"]),
)  # fmt: skip
metadata_objects = st.dictionaries(
    st.sampled_from("abc"), scalars | st.lists(scalars, max_size=3), max_size=3
)


@settings(max_examples=40)
@given(documents=st.lists(metadata_objects, min_size=1, max_size=8), dead=st.integers(0, 3))
def test_reports_and_counts_are_those_of_a_plain_count(
    tmp_path_factory: pytest.TempPathFactory, documents: list[dict[str, Any]], dead: int
) -> None:
    store = Store(tmp_path_factory.mktemp("counts") / "store.sqlite")
    write(store, {str(n): metadata for n, metadata in enumerate(documents)})
    delete(store, *(str(n) for n in range(dead)))
    live = documents[dead:]
    names = sorted({name for metadata in live for name, _, _ in facets(metadata)})
    report = store.field_report()
    assert list(report) == names
    numbers = store.numbers(2).tolist()
    counts = store.facet_counts(names, [*numbers, *numbers], limit=99)
    for name in names:
        having = [held for m in live if (held := [f[1:] for f in facets(m) if f[0] == name])]
        expected = Counter(value for held in having for value in held)
        assert report[name].documents == len(having)
        assert sum(one.values for one in report[name].types.values()) == expected.total()
        assert sum(one.distinct for one in report[name].types.values()) == len(expected)
        assert [times for _, times in counts[name]] == sorted(expected.values(), reverse=True)
        assert len(json.dumps(counts[name], allow_nan=False)) > 0
        stored = Counter({key: times for key, times in keyed(counts[name])})
        assert stored == expected
        for (first, times), (second, less) in pairwise(keyed(counts[name])):
            assert times > less or first < second
    store.close()


def keyed(counts: Sequence[tuple[Any, int]]) -> list[tuple[tuple[int, Any], int]]:
    """Write counted values as facets, to compare them with what the metadata gives."""
    facet = [next(facets({"f": value}))[1:] for value, _ in counts]
    largest = 1.7976931348623157e308
    mended = [(kind, float("inf") if value == largest else value) for kind, value in facet]
    return [(one, times) for one, (_, times) in zip(mended, counts, strict=True)]


def test_a_report_by_hand(store: Store) -> None:
    write(store, {
        "a": {"day": "2020-01-31", "tags": ["x", "y", "x", 3], "flag": True},
        "b": {"day": ["2019-12", "2021-05-01T10:00:00Z"], "tags": "2020-01-01", "flag": None},
        "c": {"tags": [], "n": {"m": [1.5, -2, 1.5]}},
    })  # fmt: skip
    assert store.field_report() == {
        "day": FieldReport(documents=2, types={
            "date": Values(values=3, distinct=3, min="2019-12", max="2021-05-01T10:00:00Z"),
        }),
        "flag": FieldReport(documents=2, types={
            "null": Values(values=1, distinct=1, min=None, max=None),
            "boolean": Values(values=1, distinct=1, min=True, max=True),
        }),
        "n.m": FieldReport(documents=1, types={
            "number": Values(values=2, distinct=2, min=-2, max=1.5),
        }),
        "tags": FieldReport(documents=2, types={
            "number": Values(values=1, distinct=1, min=3, max=3),
            "string": Values(values=3, distinct=3, min="2020-01-01", max="y"),
        }),
    }  # fmt: skip


def test_counts_by_hand(store: Store) -> None:
    values: list[Any] = ["b", "a", True, 2, 1.0, None, "b", ["a", "a"], ["c", False], "é"]
    write(store, {str(n): {"f": value, "n": n} for n, value in enumerate(values)})
    numbers = store.numbers(1)
    expected = [
        ("a", 2), ("b", 2), (None, 1), (False, 1), (True, 1), (1, 1), (2, 1), ("c", 1), ("é", 1),
    ]  # fmt: skip
    found = store.facet_counts(["f", "n"], numbers, limit=9)
    assert json.dumps(found["f"]) == json.dumps(expected)
    assert found["n"] == [(n, 1) for n in range(9)]
    assert store.facet_counts(["f"], numbers[:2], limit=1) == {"f": [("a", 1)]}
    assert store.facet_counts(["f"], []) == {"f": []}
    assert store.facet_counts([], numbers) == {}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        metadata = (
            {"n": n, "big": 10**400, "s": ["a\0b", None, True], "o": {}} for n in range(600)
        )
        index.add(Document(id=f"d{n}", text="ship", metadata=m) for n, m in enumerate(metadata))
        index.delete(["d5"])
    return str(tmp_path / "index")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM facets WHERE document = 580 AND kind = 0", "document 'd579' has other"),
        ("UPDATE facets SET value = 2 WHERE document = 7 AND kind = 1", "document 'd6' has other"),
        ("UPDATE facets SET kind = 2 WHERE document = 7 AND kind = 1", "document 'd6' has other"),
        ("INSERT INTO facets VALUES (1, 3, 'x', 7)", "document 'd6' has other metadata"),
        ("INSERT INTO facets VALUES (1, 3, 'x', 601)", "filters know of 1 documents that are not"),
        ("INSERT INTO facets VALUES (9, 3, 'x', 7)", "1 metadata fields have no name"),
        ("INSERT INTO fields VALUES (9, 'x')", "1 metadata fields are in no document"),
        ("UPDATE fields SET name = 'm' WHERE name = 'n'", "document 'd0' has other metadata"),
    ],
)
def test_facets_that_are_not_the_metadata_are_found(
    folder: str, statement: str, message: str
) -> None:
    assert verify(folder) == []
    with sqlite3.connect(f"{folder}/store.sqlite") as database:
        assert database.execute(statement).rowcount == 1
    database.close()
    assert message in "\n".join(verify(folder))


def test_info_lists_the_fields(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    info(folder, json=True)
    fields = json.loads(capsys.readouterr().out)["fields"]
    number = {"values": 599, "distinct": 599, "min": 0, "max": 599}
    assert fields["n"] == {"documents": 599, "types": {"number": number}}
    assert list(fields) == ["big", "n", "s"] and list(fields["s"]["types"]) == [
        "null", "boolean", "string",
    ]  # fmt: skip
    info(folder)
    table = capsys.readouterr().out
    assert "metadata    3 fields" in table
    rows = [line.split() for line in table.splitlines()]
    assert ["n", "599", "number", "599", "599", "0", "599"] in rows
    assert ["s", "599", "string", "599", "1", '"a\\u0000b"', '"a\\u0000b"'] in rows


def test_a_table_of_many_fields_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        info(str(index.folder))
        assert "metadata    none" in capsys.readouterr().out
        index.add([Document(id="a", text="x", metadata={f"f{n:02}": "y" * 99 for n in range(60)})])
    info(str(tmp_path / "index"))
    lines = capsys.readouterr().out.splitlines()
    assert "and 10 more lines: see --json" in lines[-1]
    assert max(map(len, lines)) < 120
