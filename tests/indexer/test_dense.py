"""Nearest passages against brute force in numpy, and vectors that catch up with the store."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer import dense as dense_module
from indexer import together as together_module
from indexer.dense import Dense
from indexer.documents import Document
from indexer.kernel import all_products
from indexer.nearest import Nearest
from indexer.records import PASSAGE_BITS, Entry, StoredPassage
from indexer.rows import Rows
from indexer.store import Store
from indexer.together import LEAST, nearest_together
from tests.indexer.brute_force import brute_force

DIMENSION = 16


def entry(id: str, vectors: NDArray[np.float16]) -> Entry:
    return Entry(
        document=Document(id=id, text="x"),
        text_hash=b"",
        metadata_hash=b"",
        passages=tuple(
            StoredPassage(start=0, end=1, key=b"%d" % n, vector=row.tobytes())
            for n, row in enumerate(vectors)
        ),
        tokens=1,
        dropped=0,
    )


def add(store: Store, documents: dict[str, NDArray[np.float16]]) -> None:
    with store.transaction():
        store.write([entry(id, vectors) for id, vectors in documents.items()])


def delete(store: Store, *ids: str) -> None:
    with store.transaction():
        store.delete(ids)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def opened(store: Store, threads: int = 1, upto: int | None = None) -> Dense:
    dense = Dense(store.path.parent / "dense", DIMENSION, threads)
    dense.catch_up(store, store.sequence if upto is None else upto)
    return dense


def unit_rows(count: int, seed: int) -> NDArray[np.float16]:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION))
    unit: NDArray[np.float16] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
        np.float16
    )
    return unit


def assert_nearest(found: Nearest, expected: dict[int, float], depth: int, slack: float) -> None:
    """Check that the best `depth` are there with all ties, best first, scored right."""
    numbers = found.numbers.tolist()
    assert len(set(numbers)) == len(numbers)
    assert (np.diff(found.scores) <= 0).all()
    assert (found.passages >> PASSAGE_BITS).tolist() == numbers
    assert found.scores == pytest.approx([expected[n] for n in numbers], abs=slack)
    cut = sorted(expected.values(), reverse=True)[:depth][-1:] or [0.0]
    assert set(numbers) >= {n for n, score in expected.items() if score > cut[0] + slack}
    assert set(numbers) <= {n for n, score in expected.items() if score >= cut[0] - slack}
    assert len(numbers) >= min(depth, len(expected))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two thousand documents of one to five passages, a tenth of them with equal vectors."""
    store = Store(tmp_path_factory.mktemp("large") / "store.sqlite")
    rows = unit_rows(6000, 1)
    rows[::10] = rows[0]
    at = 0
    documents = {}
    for n in range(2000):
        documents[f"{n}"] = rows[at : at + 1 + n % 5]
        at += 1 + n % 5
    add(store, documents)
    delete(store, *(f"{n}" for n in range(0, 2000, 17)))
    return store


@pytest.fixture(scope="module")
def threads_of_large(large: Store) -> list[Dense]:
    return [opened(large, threads) for threads in (1, 2, 3)]


@pytest.mark.parametrize("depth", [1, 7, 300, 5000])
@pytest.mark.parametrize("share", [None, 0.0, 0.0005, 0.1, 0.5, 1.0])
def test_agrees_with_brute_force(
    large: Store, threads_of_large: list[Dense], depth: int, share: float | None
) -> None:
    queries = unit_rows(3, 2).astype(np.float32)
    queries[2] = np.frombuffer(next(large.vectors(-1))[1], np.float16)  # the one of many ties
    allowed = None
    if share is not None:
        everything = np.arange(1, 2001)
        allowed = everything[np.random.default_rng(3).random(2000) < share]
    for query in queries:
        expected = brute_force(large, query, allowed)
        first, *others = (dense.search(query, depth, allowed) for dense in threads_of_large)
        assert_nearest(first, expected, depth, 1e-6)
        for other in others:
            assert other.scores.tobytes() == first.scores.tobytes()
            assert other.numbers.tobytes() == first.numbers.tobytes()
            assert other.passages.tobytes() == first.passages.tobytes()


GRID = st.lists(
    # Multiples of 1/8, whose products and sums are exact in every order.
    st.lists(st.sampled_from([-2.0, 0.0, 1.0, 2.0]), min_size=3, max_size=3).map(
        lambda row: np.array(row + [0.0] * (DIMENSION - 3)) / 8
    ),
    min_size=1,
    max_size=3,
).map(lambda rows: np.array(rows, dtype=np.float16))


@settings(max_examples=60)
@given(
    documents=st.lists(GRID, max_size=40),
    depth=st.integers(1, 12),
    threads=st.integers(1, 3),
    gone=st.sets(st.integers(1, 40), max_size=8),
    allowed=st.none() | st.sets(st.integers(1, 40), max_size=20),
)
def test_ties_are_complete(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[NDArray[np.float16]],
    depth: int,
    threads: int,
    gone: set[int],
    allowed: set[int] | None,
) -> None:
    store = Store(tmp_path_factory.mktemp("ties") / "store.sqlite")
    add(store, {f"{n}": rows for n, rows in enumerate(documents, 1)})
    delete(store, *(f"{n}" for n in sorted(gone)))
    dense = opened(store, threads)
    query = np.array([1, 1, 0.5] + [0] * (DIMENSION - 3), dtype=np.float32)
    numbers = None if allowed is None else np.array(sorted(allowed), dtype=np.int64)
    found = dense.search(query, depth, numbers)
    assert_nearest(found, brute_force(store, query, numbers), depth, 0.0)
    for number, passage in zip(found.numbers.tolist(), found.passages.tolist(), strict=True):
        rows = documents[number - 1].astype(float) @ query  # of equal passages the first
        assert passage & (2**PASSAGE_BITS - 1) == int(np.argmax(rows))
    dense.close()
    store.close()


def assert_same(found: Nearest, expected: Nearest) -> None:
    assert found.numbers.tobytes() == expected.numbers.tobytes()
    assert found.scores.tobytes() == expected.scores.tobytes()
    assert found.passages.tobytes() == expected.passages.tobytes()


@pytest.mark.parametrize("depth", [1, 7, 300, 5000])
def test_queries_together_give_what_each_gives_alone(
    large: Store, threads_of_large: list[Dense], depth: int
) -> None:
    queries = unit_rows(6, 2).astype(np.float32)
    queries[2] = np.frombuffer(next(large.vectors(-1))[1], np.float16)  # the one of many ties
    everything = np.arange(1, 2001)
    allowed = [None, everything[::3], None, everything[:0], everything, everything[5:6]]
    for dense in threads_of_large:
        together = dense.search_many(queries, depth, allowed)
        for query, its, found in zip(queries, allowed, together, strict=True):
            alone = dense.search(query, depth, its)
            assert_same(found, alone)
            # All that is left has an exact score; alone, only what a scan proposed.
            assert found.plan == replace(alone.plan, scored=found.plan.passages)
            assert_nearest(found, brute_force(large, query, its), depth, 1e-6)


@pytest.mark.parametrize("rows_at_once", [7, 4.2, 1, 0])
def test_scores_of_many_queries_are_made_for_a_bounded_number_at_once(
    large: Store, monkeypatch: pytest.MonkeyPatch, rows_at_once: float
) -> None:
    dense = opened(large, 2)
    most = int(rows_at_once * sum(part.size for part in dense._parts))
    queries = unit_rows(17, 5).astype(np.float32)
    allowed = [None if n % 3 else np.arange(1, 2001, 1 + n) for n in range(17)]
    made: list[int] = []

    def watched(
        parts: Sequence[Rows],
        masks: Sequence[Sequence[NDArray[np.bool_]] | None],
        some: NDArray[np.float32],
        depth: int,
        pool: Executor,
    ) -> list[Nearest]:
        made.append(len(some) * sum(part.size for part in parts))
        return nearest_together(parts, masks, some, depth, pool)

    monkeypatch.setattr(dense_module, "MOST_SCORES", most)
    monkeypatch.setattr(dense_module, "nearest_together", watched)
    found = dense.search_many(queries, 9, allowed)
    for query, its, each in zip(queries, allowed, found, strict=True):
        assert_same(each, dense.search(query, 9, its))
    assert max(made, default=0) <= most
    assert len(made) == (3 if rows_at_once >= LEAST else 0)  # 7, 7 and 3 queries


def test_queries_together_read_the_stored_rows_where_they_lie(
    large: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = opened(large, 2)
    read: list[bool] = []

    def watched(rows: NDArray[np.float16], queries: NDArray[np.float32]) -> NDArray[np.float32]:
        read.extend(np.shares_memory(rows, part.stored(slice(None))) for part in dense._shards
                    if len(rows) == part.size)  # fmt: skip
        return all_products(rows, queries)

    monkeypatch.setattr(together_module, "all_products", watched)
    dense.search_many(unit_rows(6, 2).astype(np.float32), 3, [None] * 6)
    assert any(read)
    assert not np.shares_memory(
        dense._shards[0].stored(np.arange(3)), dense._shards[0].stored(slice(3))
    )


@settings(max_examples=40)
@given(
    documents=st.lists(GRID, max_size=40),
    depth=st.integers(1, 12),
    threads=st.integers(1, 3),
    gone=st.sets(st.integers(1, 40), max_size=8),
    scale=st.sampled_from([1.0, 64.0]),  # the sums of the second are not exact in any order
)
def test_queries_together_have_all_ties(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[NDArray[np.float16]],
    depth: int,
    threads: int,
    gone: set[int],
    scale: float,
) -> None:
    store = Store(tmp_path_factory.mktemp("together") / "store.sqlite")
    add(store, {f"{n}": rows for n, rows in enumerate(documents, 1)})
    delete(store, *(f"{n}" for n in sorted(gone)))
    dense = opened(store, threads)
    queries = np.zeros((6, DIMENSION), dtype=np.float32)
    queries[:, :3] = np.array([[1, 1, 0.5], [0, -1, 1]] * 3) * scale
    for query, found in zip(queries, dense.search_many(queries, depth, [None] * 6), strict=True):
        assert_same(found, dense.search(query, depth))
        assert_nearest(found, brute_force(store, query), depth, 0.0)
    dense.close()
    store.close()


@pytest.mark.parametrize("depth", [1, 4, 90])
def test_a_document_of_many_passages_does_not_crowd_out_the_others(
    store: Store, depth: int
) -> None:
    query = unit_rows(1, 8)[0].astype(np.float32)
    rows = unit_rows(2000, 9)
    order = np.argsort(rows.astype(np.float32) @ query)
    add(store, {"long": rows[order[1000:]]})  # all its passages are nearer than any other
    add(store, {f"{n}": rows[place : place + 1] for n, place in enumerate(order[:1000])})
    found = opened(store, 2).search(query, depth)
    assert_nearest(found, brute_force(store, query), depth, 1e-6)


def test_more_equal_documents_than_a_first_look_takes(store: Store) -> None:
    add(store, {f"{n}": unit_rows(1, 1) for n in range(900)})
    query = unit_rows(1, 2)[0].astype(np.float32)
    assert len(opened(store, 2).search(query, 3).numbers) == 900


def test_passages_of_a_document(store: Store) -> None:
    rows = unit_rows(4, 5)
    rows[3] = rows[1]
    add(store, {"a": unit_rows(2, 6), "b": rows})
    dense = opened(store, 2)
    query = unit_rows(1, 7)[0].astype(np.float32)
    found = dense.passages(2, query)
    scores = rows.astype(np.float32) @ query
    order = sorted(range(4), key=lambda n: (-scores[n], n))
    assert [passage for passage, _ in found] == [2 << PASSAGE_BITS | n for n in order]
    assert [score for _, score in found] == pytest.approx(scores[order].tolist(), abs=1e-6)
    best = dense.search(query, 5)
    place = best.numbers.tolist().index(2)
    assert (best.passages[place], best.scores[place]) == found[0]
    assert dense.passages(77, query) == []


def test_nothing_to_find(store: Store) -> None:
    dense = opened(store, 2)
    query = unit_rows(1, 7)[0].astype(np.float32)
    assert dense.search(query, 10).numbers.tolist() == []
    assert dense.search(query, 10, np.array([1], dtype=np.int64)).numbers.tolist() == []
    assert dense.count == 0
    dense.save()
    assert opened(store).count == 0


def rows_of(dense: Dense) -> tuple[list[int], bytes]:
    ids, vectors = dense.rows()
    return ids.tolist(), vectors.tobytes()


def test_saved_rows_come_back_and_the_rest_is_replayed(store: Store) -> None:
    add(store, {f"{n}": unit_rows(2, n) for n in range(5)})
    first = opened(store, 2)
    first.save()
    assert [path.suffix for path in (store.path.parent / "dense").iterdir()] == [".safetensors"]
    delete(store, "1")
    add(store, {"2": unit_rows(1, 50), "9": unit_rows(3, 51)})
    for threads in (1, 2, 3):
        again = opened(store, threads)
        assert again.damage == []
        assert rows_of(again) == rows_of(_from_nothing(store))
    first.catch_up(store, store.sequence)
    assert rows_of(first) == rows_of(_from_nothing(store))
    first.save()
    assert len(list((store.path.parent / "dense").iterdir())) == 1
    store.purge(store.sequence)
    assert rows_of(opened(store, 2)) == rows_of(first)


def _from_nothing(store: Store) -> Dense:
    dense = Dense(store.path.parent / "nowhere", DIMENSION, 1)
    dense.catch_up(store, store.sequence)
    return dense


def test_each_sequence_number_shows_what_it_saw(store: Store) -> None:
    add(store, {"a": unit_rows(1, 1), "b": unit_rows(1, 2)})
    add(store, {"a": unit_rows(1, 3)})
    delete(store, "b", "a")
    add(store, {"a": unit_rows(1, 1)})
    dense = opened(store, 2, upto=0)
    seen: dict[int, tuple[list[int], bytes]] = {}
    for upto in (0, 1, 2, 3, 4, 1, 3, 2, 4, 0):
        dense.catch_up(store, upto)
        ids, _ = dense.rows()
        documents = sorted((ids >> PASSAGE_BITS).tolist())
        assert documents == store.numbers(upto).tolist()
        assert seen.setdefault(upto, rows_of(dense)) == rows_of(dense)
    assert len(seen) == 5


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_damaged_file_is_passed_over_and_told(store: Store, at: int) -> None:
    add(store, {f"{n}": unit_rows(2, n) for n in range(5)})
    good = opened(store)
    good.save()
    (file,) = (store.path.parent / "dense").iterdir()
    flip(file, at)
    again = opened(store)
    assert len(again.damage) == 1
    assert str(file) in again.damage[0]
    assert rows_of(again) == rows_of(good)
    again.save()
    assert opened(store).damage == []


def test_a_file_of_another_dimension_is_passed_over(store: Store) -> None:
    add(store, {"a": unit_rows(1, 1)})
    opened(store).save()
    other = Dense(store.path.parent / "dense", DIMENSION * 2, 1)
    assert other.count == 0
    assert f"vectors of {DIMENSION} numbers, the manifest says {DIMENSION * 2}" in other.damage[0]


def test_the_stored_numbers_are_kept_bit_by_bit(store: Store) -> None:
    rows = unit_rows(3, 1)
    rows[0, :4] = [0.0, -0.0, 6e-8, -6e-5]  # signed zeros and the smallest numbers of float16
    add(store, {"a": rows})
    dense = opened(store)
    assert dense.rows()[1].tobytes() == rows.tobytes()
    dense.save()
    assert opened(store).rows()[1].tobytes() == rows.tobytes()
