"""The store: what is visible at which sequence number, and numbers that never come back."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.documents import Document
from indexer.errors import DamagedIndexError
from indexer.filters import FilterError, parse
from indexer.records import PASSAGE_BITS, Entry, StoredPassage
from indexer.store import Store


def entry(
    id: str, text: str = "text", passages: int = 1, dropped: int = 0, **metadata: object
) -> Entry:
    stored = tuple(
        StoredPassage(
            start=n,
            end=n + 1,
            key=f"{text} {n}".encode(),
            vector=np.array([n, 1], dtype=np.float16).tobytes(),
        )
        for n in range(passages)
    )
    return Entry(
        document=Document(id=id, title=f"title of {id}", text=text, metadata=metadata),
        text_hash=text.encode(),
        metadata_hash=repr(metadata).encode(),
        passages=stored,
        tokens=len(text.split()),
        dropped=dropped,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def write(store: Store, *entries: Entry) -> int:
    with store.transaction():
        return store.write(entries)


def delete(store: Store, *ids: str) -> int:
    with store.transaction():
        return store.delete(ids)


def visible(store: Store, upto: int) -> list[str]:
    numbers = store.numbers(upto).tolist()
    names = store.ids(numbers)
    return [names[number] for number in numbers]


def test_a_new_store_is_empty(store: Store) -> None:
    assert (store.sequence, store.purges, store.dead()) == (0, 0, 0)
    assert store.numbers(0).tolist() == []
    assert (list(store.vectors(-1)), list(store.all_live()), list(store.hashes())) == ([], [], [])


def test_old_sequence_numbers_keep_what_they_saw(store: Store) -> None:
    assert write(store, entry("a", "old"), entry("b")) == 1
    assert write(store, entry("a", "new"), entry("c")) == 2
    assert delete(store, "b", "nobody") == 1
    assert [visible(store, upto) for upto in range(4)] == [
        [],
        ["a", "b"],
        ["b", "a", "c"],
        ["a", "c"],
    ]
    old, new = store.numbers(1)[0], store.numbers(3)[0]
    documents = store.documents([int(old), int(new)])
    assert [documents[number].text for number in (old, new)] == ["old", "new"]
    assert store.live(["a"])["a"].number == new
    assert "b" not in store.live(["a", "b"])


def test_changes_between_two_numbers(store: Store) -> None:
    write(store, entry("a"), entry("b"))  # 1: numbers 1 and 2
    write(store, entry("a", "new"))  # 2: number 3 for number 1
    delete(store, "b")  # 3
    write(store, entry("d"))  # 4: number 4
    delete(store, "d")  # 5
    for after, upto, added, deleted in (
        (0, 1, [1, 2], []), (1, 2, [3], [1]), (0, 2, [2, 3], []), (2, 3, [], [2]),
        (1, 3, [3], [1, 2]), (3, 5, [], []), (3, 4, [4], []), (4, 5, [], [4]), (5, 5, [], []),
    ):  # fmt: skip
        change = store.changes(after, upto)
        assert (change.added, change.deleted) == (added, deleted), (after, upto)


def test_numbers_are_never_used_again(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = Store(path)
    write(store, entry("a"), entry("b"), entry("c"))
    delete(store, "c", "b", "a")
    store.purge(store.sequence)
    store.shrink()
    store.close()
    reopened = Store(path)
    write(reopened, entry("d"))
    assert reopened.numbers(reopened.sequence).tolist() == [4]
    reopened.close()


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    write(store, entry("a"))
    with pytest.raises(KeyError), store.transaction():
        store.write([entry("b"), entry("a", "new")])
        store.delete(["a"])
        raise KeyError
    assert (store.sequence, visible(store, store.sequence)) == (1, ["a"])
    assert write(store, entry("c")) == 2


def test_a_snapshot_sees_one_state(store: Store) -> None:
    write(store, entry("a"))
    other = Store(store.path)
    with other.snapshot():
        before = other.sequence
        write(store, entry("b"))
        assert (before, other.sequence, visible(other, 9)) == (1, 1, ["a"])
    assert (other.sequence, visible(other, 9)) == (2, ["a", "b"])
    other.close()


def test_documents_come_back_as_they_were(store: Store) -> None:
    document = Document(
        id="é z/1",
        title="T\n",
        text="用搜索 🎉\t",
        metadata={"n": 1, "x": [1.5, None, {"ü": True}]},
    )
    template = entry("x")
    write(
        store,
        Entry(
            document=document, text_hash=b"", metadata_hash=b"", passages=template.passages,
            tokens=0, dropped=0,
        ),
    )  # fmt: skip
    number = int(store.numbers(1)[0])
    assert store.documents([number, 77]) == {number: document}
    assert list(store.all_live()) == [(number, document)]
    assert store.ids([number]) == {number: "é z/1"}
    assert list(store.live_ids()) == ["é z/1"]


def test_passages_are_numbered_after_their_document(store: Store) -> None:
    write(store, entry("a", "x", passages=2), entry("b", "y"))
    first, second = store.numbers(1).tolist()
    expected = [first << PASSAGE_BITS, first << PASSAGE_BITS | 1, second << PASSAGE_BITS]
    assert [passage for passage, _ in store.vectors(-1)] == expected
    assert [passage for passage, _ in store.vectors(first)] == expected[2:]
    assert store.windows(expected) == {
        expected[0]: (0, 1),
        expected[1]: (1, 2),
        expected[2]: (0, 1),
    }
    vectors = store.vectors_of(first)
    assert {key: np.frombuffer(v, np.float16).tolist() for key, v in vectors.items()} == {
        b"x 0": [0, 1], b"x 1": [1, 1],
    }  # fmt: skip


def test_more_than_one_chunk_of_ids(store: Store) -> None:
    names = [f"{n:04}" for n in range(1203)]
    write(store, *(entry(name) for name in names))
    assert sorted(store.live(names)) == names
    numbers = store.numbers(1).tolist()
    found, documents = store.ids(numbers), store.documents(numbers)
    assert [found[n] for n in numbers] == [documents[n].id for n in numbers] == names
    assert len(store.windows([n << PASSAGE_BITS for n in numbers])) == len(names)


def test_counts(store: Store) -> None:
    write(
        store, entry("a", "one two", passages=2), entry("b", "one two"), entry("c", "one two"),
        entry("d", " "), entry("e", ""), entry("f", "three", dropped=4), entry("g", "gone"),
    )  # fmt: skip
    delete(store, "g")
    assert store.counts() == {
        "documents": 6, "dead": 1, "tokens": 7, "empty": 2, "truncated_documents": 1,
        "dropped_tokens": 4, "duplicate_texts": 2, "passages": 7,
        "near_duplicates": 0,
    }  # fmt: skip


def test_a_purge_leaves_no_row_of_the_dead(store: Store) -> None:
    write(store, entry("a", "old", year=1, lost="x"), entry("b", "y", passages=2, year=2))
    write(store, entry("a", "new", year=3))
    delete(store, "b")
    assert store.dead() == 2
    store.purge(store.sequence)
    store.shrink()
    assert (store.dead(), store.purges, store.sequence) == (0, 1, 3)
    with sqlite3.connect(store.path) as database:
        rows = {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("documents", "contents", "passages", "facets", "fields")
        }
    assert rows == {"documents": 1, "contents": 1, "passages": 1, "facets": 1, "fields": 1}
    assert list(store.fields()) == ["year"]
    assert visible(store, 3) == ["a"]


def test_filters_see_what_is_visible(store: Store) -> None:
    write(store, entry("a", year=1), entry("b", year=2))
    write(store, entry("a", year=2))
    delete(store, "b")
    found = [store.matching(parse("year = 2"), upto).tolist() for upto in range(1, 4)]
    assert found == [[2], [2, 3], [3]]
    with pytest.raises(FilterError, match="unknown field 'year'"):
        store.matching(parse("year = 2"), 0)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(DamagedIndexError, match=r"store\.sqlite can't be read as a database"):
        Store(path)


def test_damage_is_found(store: Store) -> None:
    write(store, *(entry(f"{n}", "word " * 200) for n in range(100)))
    store.fold()
    assert store.damage() == []
    content = bytearray(store.path.read_bytes())
    content[4096 * 10 : 4096 * 11] = bytes(4096)
    store.close()
    store.path.write_bytes(content)
    again = Store(store.path)
    assert again.damage()
    again.close()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "delete", "purge"]),
        st.lists(st.sampled_from("abcde"), max_size=4, unique=True),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(steps=STEPS)
def test_any_history_shows_what_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[str]]]
) -> None:
    store = Store(tmp_path_factory.mktemp("history") / "store.sqlite")
    live: dict[str, str] = {}
    states: list[dict[str, str]] = [{}]
    highest = 0
    for turn, (kind, ids) in enumerate(steps):
        if kind == "purge":
            store.purge(store.sequence)
            states = [live.copy()] * len(states)  # the past is gone; only now is asked for below
            continue
        if kind == "write":
            write(store, *(entry(id, f"{id} {turn}") for id in ids))
            live |= {id: f"{id} {turn}" for id in ids}
            numbers = [row.number for row in store.live(ids).values()]
            assert all(number > highest for number in numbers)
            highest = max([highest, *numbers])
        else:
            gone = live.keys() & set(ids)
            assert delete(store, *ids) == len(gone)
            if not gone:
                continue  # nothing happened, and there is no trace of it
            live = {id: text for id, text in live.items() if id not in gone}
        states.append(live.copy())
    assert {d.id: d.text for _, d in store.all_live()} == live
    assert store.sequence == len(states) - 1
    if "purge" not in {kind for kind, _ in steps}:
        for upto, state in enumerate(states):
            documents = store.documents(store.numbers(upto).tolist())
            assert {d.id: d.text for d in documents.values()} == state
            found = store.live(list("abcde"), upto)
            documents = store.documents([row.number for row in found.values()])
            assert {id: documents[row.number].text for id, row in found.items()} == state
            assert [row.text_hash.decode() for row in found.values()] == [state[id] for id in found]
    assert store.live(list("abcde")).keys() == live.keys()
    store.close()


def test_ids_as_of_an_earlier_commit_are_looked_up_and_not_sought(store: Store) -> None:
    write(store, *(entry(f"{n}") for n in range(600)))
    write(store, entry("a", "old"))
    write(store, entry("a", "new"))
    delete(store, "a", "7")
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)
    ids = ["a", *(f"{n}" for n in range(600))]  # more than are asked for at once
    numbers = [store.live(ids, upto)["a"].number for upto in (2, 3)]
    assert numbers == [601, 602]
    assert store.live(ids, 4).keys() == set(ids) - {"a", "7"}
    assert store.live(ids, 1).keys() == set(ids) - {"a"}
    store._db.set_trace_callback(None)
    assert len(asked) == 8
    for statement in asked:
        plan = [row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [line for line in plan if "SCAN" in line or "INDEX added" in line], plan


def test_a_stream_that_was_left_off_may_outlive_the_store(tmp_path: Path) -> None:
    """After an error a traceback keeps it until the interpreter ends."""
    store = Store(tmp_path / "store.sqlite")
    write(store, entry("a"), entry("b"))
    streams = (store.texts([1, 2]), store.all_live(), store.live_ids())
    for stream in streams:
        next(stream)
    store.close()
    for stream in streams:
        stream.close()


def test_what_is_kept_of_documents(store: Store) -> None:
    write(store, entry("a", "old", year=1), entry("b", "text"))
    write(store, entry("a", "new"))
    found = store.kept([1, 2, 3, 9])
    assert {number: (each.id, each.text, each.astray) for number, each in found.items()} == {
        1: (b"a", b"old", False),  # replaced, and so listed no more
        2: (b"b", b"text", False),
        3: (b"a", b"new", False),
    }
    assert (found[1].title, found[1].metadata) == (b"title of a", b'{"year": 1}')
    assert (found[1].text_hash, found[1].metadata_hash) == (b"old", b"{'year': 1}")
