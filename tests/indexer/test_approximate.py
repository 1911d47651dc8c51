"""Approximate vectors against brute force: recall, filters, adds, deletes, damage, rebuilds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open

from indexer import vector_file
from indexer.construction import FLAT_ROWS, Wish, make
from indexer.dense import Dense
from indexer.documents import Document
from indexer.errors import ClozeError, DamagedIndexError
from indexer.nearest import Nearest
from indexer.records import PASSAGE_BITS, Entry, StoredPassage
from indexer.store import Store
from tests.indexer.brute_force import brute_force

DIMENSION = 16
COUNT = 3000
FACTORIES = ("IVF16,SQ8", "IVF16,PQ8x4fsr", "IVF16,Flat", "HNSW16,SQ8", "SQ8")
SHARES = (0.5, 0.1, 0.01, 0.001, 0.0)


def clustered(count: int, seed: int) -> NDArray[np.float16]:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(30, DIMENSION))
    rows = centres[rng.integers(0, 30, count)] + 0.4 * rng.normal(size=(count, DIMENSION))
    unit: NDArray[np.float16] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("f2")
    return unit


def add(store: Store, vectors: NDArray[np.float16], name: str, passages: int = 1) -> None:
    entries = [
        Entry(
            document=Document(id=f"{name}{start}", text="x"),
            text_hash=b"",
            metadata_hash=b"",
            passages=tuple(
                StoredPassage(start=0, end=1, key=b"", vector=row.tobytes())
                for row in vectors[start : start + passages]
            ),
            tokens=1,
            dropped=0,
        )
        for start in range(0, len(vectors), passages)
    ]
    with store.transaction():
        store.write(entries)


def delete(store: Store, ids: list[str]) -> None:
    with store.transaction():
        store.delete(ids)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(tmp_path_factory.mktemp("source") / "store.sqlite")
    add(opened, clustered(COUNT, 2), "d")
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    add(opened, clustered(COUNT, 2), "d", passages=2)
    yield opened
    opened.close()


def built(store: Store, home: Path, factory: str, recall: float = 0.98) -> Dense:
    dense = Dense(home, DIMENSION, 1, Wish(faiss=factory, recall=recall))
    dense.catch_up(store, store.sequence)
    dense.save()
    return dense


def reopened(store: Store, home: Path) -> Dense:
    dense = Dense(home, DIMENSION, 2)
    dense.catch_up(store, store.sequence)
    return dense


def best(
    store: Store, query: NDArray[np.float32], depth: int, allowed: NDArray[np.int64] | None = None
) -> list[int]:
    """The documents with the best passages, by numpy."""
    scores = brute_force(store, query, allowed)
    return sorted(scores, key=lambda number: -scores[number])[:depth]


def recall(found: Nearest, expected: list[int]) -> float:
    return len(set(found.numbers[: len(expected)].tolist()) & set(expected)) / len(expected)


def queries(count: int) -> NDArray[np.float32]:
    return clustered(count, 3).astype(np.float32)


@pytest.mark.parametrize("factory", FACTORIES)
def test_recall_is_what_was_asked_for(source: Store, tmp_path: Path, factory: str) -> None:
    dense = built(source, tmp_path / "dense", factory)
    notes = dense.notes
    assert notes["factory"] == factory and notes["built"] == COUNT
    assert [effort for effort, _, _ in notes["curve"]][-1] == notes["effort"]
    recalls = []
    for query in queries(40):
        found = dense.search(query, 10)
        assert len(found.numbers) == 10
        recalls.append(recall(found, best(source, query, 10)))
    assert np.mean(recalls) >= 0.98
    assert found.plan.kind == ("flat" if factory == "SQ8" else notes["kind"])


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("share", SHARES)
def test_a_filter_loses_nothing(
    source: Store, tmp_path_factory: pytest.TempPathFactory, factory: str, share: float
) -> None:
    home = tmp_path_factory.getbasetemp() / f"filtered-{factory.replace(',', '-')}"
    dense = reopened(source, home) if home.exists() else built(source, home, factory)
    rng = np.random.default_rng(5)
    allowed = np.sort(rng.choice(COUNT, int(COUNT * share), replace=False)) + 1
    for query in queries(10):
        found = dense.search(query, 10, allowed)
        expected = best(source, query, 10, allowed)
        assert found.numbers.tolist() == expected
        assert found.plan.kind == "survivors"
        assert found.plan.passages == len(allowed)


def test_a_filter_against_the_query_loses_nothing(source: Store, tmp_path: Path) -> None:
    """The documents that are left are those furthest from the query: in no list near it."""
    dense = built(source, tmp_path / "dense", "IVF16,SQ8")
    for query in queries(10):
        order = best(source, query, COUNT)
        for left in (COUNT * 4 // 10, COUNT * 7 // 10):
            allowed = np.sort(np.array(order[-left:]))
            found = dense.search(query, 10, allowed)
            assert len(found.numbers) == 10
            if left < COUNT // 2:
                assert found.numbers.tolist() == best(source, query, 10, allowed)


def test_scores_are_the_exact_ones(source: Store, tmp_path: Path) -> None:
    dense = built(source, tmp_path / "dense", "IVF16,PQ8x4fsr")
    flat = reopened(source, tmp_path / "nowhere")
    for query in queries(20):
        exact = flat.search(query, COUNT)
        scores = dict(zip(exact.numbers.tolist(), exact.scores.tolist(), strict=True))
        found = dense.search(query, 50)
        for number, score in zip(found.numbers.tolist(), found.scores.tolist(), strict=True):
            assert score == scores[number]


@pytest.mark.parametrize("factory", FACTORIES)
def test_adds_and_deletes_without_a_rebuild(store: Store, factory: str) -> None:
    home = store.path.parent / "dense"
    dense = built(store, home, factory)
    (file,) = home.iterdir()
    add(store, clustered(200, 7), "e")
    delete(store, [f"d{place}" for place in range(0, COUNT, 30)] + ["e3"])
    dense.catch_up(store, store.sequence)
    follower = reopened(store, home)
    assert [path.name for path in home.iterdir()] == [file.name]
    for each in (dense, follower):
        _check(store, each)
    dense.save()  # rows that came are added to the index, those that died stay in it
    assert dense.notes["built"] == COUNT
    again = reopened(store, home)
    for each in (dense, again):
        _check(store, each)
        assert each.count == len(each.rows()[0])


def _check(store: Store, dense: Dense) -> None:
    visible = set(store.numbers(store.sequence).tolist())
    recalls = []
    for query in queries(15):
        found = dense.search(query, 10)
        assert set(found.numbers.tolist()) <= visible
        recalls.append(recall(found, best(store, query, 10)))
    assert np.mean(recalls) >= 0.96
    new = clustered(200, 7)[10].astype(np.float32)  # finds itself, wherever it is
    assert dense.search(new, 1).numbers[0] == store.live(["e10"])["e10"].number


@pytest.mark.parametrize("factory", FACTORIES)
def test_compaction_is_a_rebuild(store: Store, tmp_path: Path, factory: str) -> None:
    home = store.path.parent / "dense"
    dense = built(store, home, factory)
    add(store, clustered(100, 8), "e")
    delete(store, [f"d{place}" for place in range(0, COUNT, 6)])
    with dense.rebuilt(store) as publish:
        publish()
    fresh = built(store, tmp_path / "fresh", factory)
    assert dense.notes["effort"] == fresh.notes["effort"]
    assert dense.notes["training"] == fresh.notes["training"]
    for query in queries(20):
        ours, theirs = dense.search(query, 30), fresh.search(query, 30)
        assert ours.numbers.tolist() == theirs.numbers.tolist()
        assert ours.scores.tolist() == theirs.scores.tolist()


def test_a_reader_takes_up_what_another_process_built(store: Store) -> None:
    home = store.path.parent / "dense"
    reader = Dense(home, DIMENSION, 1)
    reader.catch_up(store, store.sequence)
    assert reader.search(queries(1)[0], 10).plan.kind == "flat"
    built(store, home, "IVF16,SQ8")
    add(store, clustered(10, 9), "e")
    reader.catch_up(store, store.sequence)
    assert reader.search(queries(1)[0], 10).plan.kind == "ivf"
    _same_documents(store, reader)


def test_a_file_of_a_later_commit_and_one_of_before_a_purge(store: Store) -> None:
    home = store.path.parent / "dense"
    first = store.sequence
    delete(store, [f"d{place}" for place in range(0, COUNT, 10)])
    built(store, home, "IVF16,SQ8")
    earlier = Dense(home, DIMENSION, 1)
    earlier.catch_up(store, first)
    assert earlier.count == COUNT  # the deleted ones too
    delete(store, [f"d{place}" for place in range(4, COUNT, 10)])
    store.purge(store.sequence)
    _same_documents(store, reopened(store, home))


def _same_documents(store: Store, dense: Dense) -> None:
    numbers, _ = dense.rows()
    assert set((numbers >> PASSAGE_BITS).tolist()) == set(store.numbers(store.sequence).tolist())


def test_an_index_that_is_outgrown_is_built_anew(store: Store) -> None:
    dense = built(store, store.path.parent / "dense", "IVF8,SQ8")
    add(store, clustered(COUNT + 200, 11), "e")
    dense.catch_up(store, store.sequence)
    dense.save()
    assert dense.notes["built"] == 2 * COUNT + 200


@pytest.mark.parametrize(
    ("rows", "wish", "expected"),
    [
        (FLAT_ROWS - 1, Wish(), None),
        (FLAT_ROWS, Wish(), "IVF512,PQ192x4fsr"),
        (1_000_000, Wish(), "IVF4096,PQ192x4fsr"),
        (1_000_000, Wish(recall=1.0), None),
        (1_000_000, Wish(faiss="Flat"), None),
        (100, Wish(faiss="IVF8,SQ8"), None),  # too few to train with
        (312, Wish(faiss="IVF8,SQ8"), "IVF8,SQ8"),
        (39, Wish(faiss="HNSW32,SQ8"), "HNSW32,SQ8"),
    ],
)
def test_the_kind_by_size(rows: int, wish: Wish, expected: str | None) -> None:
    assert wish.factory(rows, 384) == expected


@pytest.mark.parametrize(
    "factory",
    ["", "IVF8", "nonsense", "OPQ8,IVF8,PQ8", "IDMap,Flat", "PQ7", "PQ8", "HNSW16,PQ8", "RQ4x4"],
)
def test_a_factory_string_that_will_not_do(factory: str) -> None:
    with pytest.raises(ClozeError, match="--faiss") as error:
        make(factory, DIMENSION)
    assert "IVF1024,SQ8" in str(error.value) and "\n" not in str(error.value)


def test_the_file_is_safetensors(store: Store) -> None:
    home = store.path.parent / "dense"
    dense = built(store, home, "IVF16,SQ8")
    (path,) = home.iterdir()
    numbers, rows = dense.rows()
    with safe_open(str(path), "np") as file:
        assert sorted(file.keys()) == ["alive", "faiss", "numbers", "rows", "sums"]
        np.testing.assert_array_equal(file.get_tensor("rows"), rows)
        np.testing.assert_array_equal(file.get_tensor("numbers"), numbers)


def test_a_flipped_bit_is_found_before_it_is_an_answer(store: Store) -> None:
    """Outside the rows when the file is read; in them when one is used, or by `damaged_parts`."""
    home = store.path.parent / "dense"
    built(store, home, "IVF16,SQ8")
    (path,) = home.iterdir()
    good = path.read_bytes()
    found = {"open": 0, "search": 0}
    rng = np.random.default_rng(4)
    for _ in range(40):
        at, bit = int(rng.integers(len(good))), 1 << int(rng.integers(8))
        bad = bytearray(good)
        bad[at] ^= bit
        path.write_bytes(bad)
        dense = reopened(store, home)
        if dense.damage:
            found["open"] += 1
            continue
        assert dense.damaged_parts() == [f"{path}: its rows are not what was written"]
        with pytest.raises(DamagedIndexError, match="cloze compact"):
            for query in queries(60):
                dense.search(query, 200)
        found["search"] += 1
    assert min(found.values()) > 3
    path.write_bytes(good[: len(good) // 2])
    assert reopened(store, home).damage


def test_every_single_bit_changes_a_rows_checksum() -> None:
    for dimension in (16, 18):
        row = np.random.default_rng(0).normal(size=(1, dimension)).astype(np.float16)
        sums = set()
        for bit in range(dimension * 16):
            flipped = bytearray(row.tobytes())
            flipped[bit // 8] ^= 1 << bit % 8
            sums.add(int(vector_file.row_sums(np.frombuffer(bytes(flipped), "f2")[None])[0]))
        assert int(vector_file.row_sums(row)[0]) not in sums


def _on_device(store: Store, home: Path, *, device: str) -> list[tuple[list[int], list[float]]]:
    dense = Dense(home, DIMENSION, 1, Wish(faiss="IVF16,SQ8"), device=device)
    dense.catch_up(store, store.sequence)
    dense.save()
    assert dense.notes["kind"] == "ivf"
    found = [dense.search(query, 20) for query in queries(20)]
    return [(each.numbers.tolist(), each.scores.tolist()) for each in found]


def test_the_way_through_a_gpu_with_a_copy_on_the_cpu(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _on_device(source, tmp_path / "cpu", device="cpu")
    copied: list[str] = []

    def copy(resources: object, device: int, index: Any) -> Any:  # noqa: ANN401
        copied.append(type(index).__name__)
        return faiss.clone_index(index)

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", copy, raising=False)
    assert _on_device(source, tmp_path / "gpu", device="cuda") == expected
    assert copied == ["IndexFlatIP", "IndexIVFScalarQuantizer"]


@pytest.mark.gpu
@pytest.mark.skipif(not faiss.get_num_gpus(), reason="FAISS sees no GPU")
def test_a_gpu_builds_and_searches_and_the_cpu_serves(source: Store, tmp_path: Path) -> None:
    """k-means on a GPU may differ in its last bits, and so do lists: most hits are the same."""
    expected = _on_device(source, tmp_path / "cpu", device="cpu")
    found = _on_device(source, tmp_path / "gpu", device="cuda")
    shared = [len(set(a) & set(b)) / len(a) for (a, _), (b, _) in zip(found, expected, strict=True)]
    assert np.mean(shared) > 0.95
    served = reopened(source, tmp_path / "gpu")
    assert served.search(queries(1)[0], 10).plan.kind == "ivf"


def test_threads_share_the_lists_of_a_query(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.approximate._SHARED", 2)
    home = tmp_path / "dense"
    built(source, home, "IVF72,SQ8", recall=0.999)
    one, several = Dense(home, DIMENSION, 1), Dense(home, DIMENSION, 3)
    for dense in (one, several):
        dense.catch_up(source, source.sequence)
    removed = np.arange(1, COUNT // 4)
    for allowed in (None, np.arange(COUNT // 4, COUNT + 1)):
        for query in queries(10):
            ours = several.search(query, 40, allowed)
            theirs = one.search(query, 40, allowed)
            assert ours.plan.kind == "ivf" and (ours.plan.effort or 0) >= 2
            assert ours.numbers.tolist() == theirs.numbers.tolist()
            assert allowed is None or not np.isin(ours.numbers, removed).any()
