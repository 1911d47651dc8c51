"""The benches of vectors and of growth: what they compare with is right, and what they copy."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.bench import changes, copies, growth
from eval.bench.charts import check_plot, growth_chart, recall_chart
from eval.bench.copies import copied
from eval.bench.dense import bench_dense
from eval.bench.extrapolation import linear, power
from eval.bench.flat import Flat, recall
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.records import PASSAGE_BITS, Entry
from indexer.store import Store
from search.index import Index

PNG = b"\x89PNG\r\n\x1a\n"
QUERIES = ("the quick fish", "a lazy bear by the garden wall", "supersonic ship", "火山")


def _silent(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def flat_result(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("queries") / "queries.txt"
    file.write_text("\n".join(QUERIES))
    return bench_dense(str(small_index), 12, 1, str(file), 1, _silent)


def test_a_flat_index_finds_exactly_the_best(flat_result: dict[str, Any]) -> None:
    assert flat_result["built"]["kind"] == "flat"
    exact = {"mean": 1.0, "low": 1.0, "high": 1.0}
    for depth in ("depth_10", "depth_1000"):
        assert flat_result["recall_at_10"][depth] == exact | {"queries": 12}
        assert flat_result["recall_at_10_of_file"][depth] == exact | {"queries": len(QUERIES)}
        for filtered in flat_result["filtered"].values():
            assert filtered[depth]["recall_at_10"] == exact | {"queries": 12}
            assert filtered[depth]["as_many_as_asked_for"]


def test_every_way_is_timed_and_the_index_measured_by_itself(
    flat_result: dict[str, Any], small_index: Path
) -> None:
    ways = ("flat_one_thread", "flat_all_threads", "depth_10", "depth_1000")
    for way in ways:
        assert 0 < flat_result[f"{way}_ms"]["p50"] <= flat_result[f"{way}_ms"]["p95"]
    for ratios in flat_result["flat_to_ours"].values():
        assert ratios["one_thread"] > 0 and ratios["all_threads"] > 0
    documents = flat_result["documents"]
    allowed = [each["documents"] for each in flat_result["filtered"].values()]
    assert allowed == [round(documents * share) for share in (0.5, 0.1, 0.01, 0.001, 0)]
    assert list(flat_result["memory_mib"]) == ["imported", "opened", "vectors", "searched"]
    assert all(m["anonymous"] > 1 and m["files"] > 1 for m in flat_result["memory_mib"].values())
    assert flat_result["open_ms"] > 0 and flat_result["vectors_ms"] > 0
    parts = dict(flat_result["bytes"])
    (file,) = (small_index / "dense").iterdir()
    assert parts.pop("whole") == file.stat().st_size > sum(parts.values())
    assert parts["rows"] == flat_result["passages"] * flat_result["dimension"] * 2


def test_what_recall_is_held_against_is_brute_force() -> None:
    rng = np.random.default_rng(3)
    owners = np.repeat(np.arange(5, 65), rng.integers(1, 5, 60))
    places = np.concatenate([np.arange(n) for n in np.bincount(owners) if n])
    rows = rng.standard_normal((len(owners), 8)).astype(np.float16)
    queries = rng.standard_normal((19, 8)).astype(np.float32)
    flat = Flat(owners << PASSAGE_BITS | places, rows, 3)
    assert flat.documents.tolist() == list(range(5, 65))
    among = [np.arange(60), np.array([3, 8, 20]), np.array([], dtype=np.int64)]
    found = flat.tenths(queries, among)
    for number, query in enumerate(queries):
        best: dict[int, float] = {}
        for owner, row in zip(owners.tolist(), rows.astype(np.float64), strict=True):
            best[owner] = max(best.get(owner, -np.inf), float(row @ query))
        assert found[0, number] == pytest.approx(sorted(best.values())[-10], abs=1e-5)
        assert found[1, number] == pytest.approx(min(best[o] for o in (8, 13, 25)), abs=1e-5)
    assert (found[2] == -np.inf).all()


@pytest.mark.parametrize(
    ("scores", "tenth", "possible", "share"),
    [
        ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5], 1.0, 50, 0.9),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1], 1.0, 50, 1.0),
        ([9, 8], 8.0, 3, 2 / 3),
        ([9, 8, 7], 7.0, 3, 1.0),
        ([], -np.inf, 0, 1.0),
        ([1.0], -np.inf, 0, 0.0),
    ],
)
def test_recall_by_hand(scores: Sequence[float], tenth: float, possible: int, share: float) -> None:
    assert recall(np.array(scores, dtype=np.float64), tenth, possible) == share


def test_vectors_are_needed(tmp_path: Path, small_index: Path) -> None:
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        index.add([Document(id="a", text="a fish")])
    with pytest.raises(ClozeError, match="has no vectors"):
        bench_dense(str(tmp_path / "index"), 2, 1, None, 1)
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(ClozeError, match=r"none\.txt has no queries"):
        bench_dense(str(small_index), 2, 1, str(tmp_path / "none.txt"), 1)


@pytest.fixture(scope="module")
def gappy(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index whose numbers have gaps, written in several transactions."""
    folder = tmp_path_factory.mktemp("gappy") / "index"
    with Index.open(folder, Settings(model=str(tiny_model)), threads=1) as index:
        index.add([*documents[:90], Document(id="gone", text="a fish that will be gone")])
        index.add([*documents[90:], Document(id=documents[7].id, text="a changed river")])
        index.delete(["gone", documents[40].id])
        index.compact()
    return folder


def _answers(index: Index) -> list[Any]:
    """Return all documents, vectors and answers of an index, but for times and numbers."""
    whole: list[Any] = [[document for _, document in index.store.all_live()]]
    numbers, rows = index.dense.rows()
    _, owners = np.unique(numbers >> PASSAGE_BITS, return_inverse=True)
    whole.append((owners.tolist(), (numbers & (2**PASSAGE_BITS - 1)).tolist(), rows.tobytes()))
    for query in QUERIES:
        for mode in ("hybrid", "dense", "lexical"):
            whole.append(index.search(query, mode=mode, top=200).hits)
        whole.append(index.search(query, filter="lang = 'zh'", top=200).hits)
    return whole


def _table(folder: Path) -> list[Any]:
    with sqlite3.connect(folder / "store.sqlite") as db:
        return db.execute(
            "SELECT id, text_hash, metadata_hash, body_hash, empty, tokens, dropped, sketch "
            "FROM documents WHERE deleted IS NULL ORDER BY number"
        ).fetchall()


def test_a_whole_copy_is_its_source(gappy: Path, tmp_path: Path) -> None:
    with Index.open(gappy, threads=1) as source:
        count = source.lexical.count
        made = copied(source, tmp_path, count, _silent)
        assert made.seconds is not None and set(made.seconds) == {"store", "lexical", "dense"}
        with Index.open(tmp_path / str(count), threads=1) as copy:
            assert _answers(copy) == _answers(source)
            assert list(copy.store.numbers(copy.sequence)) == list(range(1, count + 1))
    assert _table(tmp_path / str(count)) == _table(gappy)


def test_an_interrupted_copy_goes_on(
    gappy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_BATCH", 30)
    write = Store.write
    calls: list[int] = []

    def stopped(store: Store, entries: Sequence[Entry]) -> int:
        calls.append(len(entries))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(store, entries)

    with Index.open(gappy, threads=1) as source:
        monkeypatch.setattr(Store, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            copied(source, tmp_path, 100, _silent)
        assert not (tmp_path / "100.json").exists()
        made = copied(source, tmp_path, 100, _silent)
        assert calls == [30, 30, 30, 30, 10] and made.seconds is None
        copied(source, tmp_path / "straight", 100, _silent)
        first = [document for _, document in source.store.all_live()][:100]
        with (
            Index.open(tmp_path / "100", threads=1) as copy,
            Index.open(tmp_path / "straight" / "100", threads=1) as straight,
        ):
            assert [document for _, document in copy.store.all_live()] == first
            assert _answers(copy) == _answers(straight)
        # It is taken up as it is, and not for another state of the source.
        assert copied(source, tmp_path, 100, _silent) == made
        source.sequence += 1
        with pytest.raises(ClozeError, match=r"is a copy of .* name another folder with --keep"):
            copied(source, tmp_path, 100, _silent)
        with pytest.raises(ClozeError, match=r"documents, --sizes asks for 5,000; leave"):
            copied(source, tmp_path, 5_000, _silent)


@pytest.fixture(scope="module")
def growth_result(
    small_index: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    place = tmp_path_factory.mktemp("growth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "_WARM_UP", 2)
        patch.setattr(growth, "_ANSWERED", 3)
        patch.setattr(changes, "_CHANGES", 1)
        return growth.bench_growth(str(small_index), [150, 40, 40], 5, str(place), 1), place


def test_growth_times_every_size(growth_result: tuple[dict[str, Any], Path]) -> None:
    result, place = growth_result
    assert [record["documents"] for record in result["sizes"]] == [40, 150]
    for record in result["sizes"]:
        for name in ("encode", "lexical", "dense", "hybrid", "upsert", "delete"):
            assert 0 < record[f"{name}_ms"]["p50"] <= record[f"{name}_ms"]["p95"]
        assert {"encode", "lexical", "dense", "fusion", "documents"} <= record["stages_ms"].keys()
        assert record["hybrid_to_encode_p50"] > 0 and record["hybrid_to_encode_p95"] > 0
        assert list(record["memory_mib"]) == [
            "imported", "opened", "vectors", "encoder", "answered",
        ]  # fmt: skip
        assert record["memory_mib"]["answered"]["anonymous"] > 10
        assert all(size > 1000 for size in record["bytes"].values())
        # What was changed was a copy.
        with Index.open(place / str(record["documents"])) as index:
            assert index.store.dead() == 0 and index.lexical.count == record["documents"]
    smaller, larger = result["sizes"]
    (step,) = result["growth"]
    assert (step["from"], step["to"]) == (40, 150)
    assert step["hybrid_p95"] == pytest.approx(
        larger["hybrid_ms"]["p95"] / smaller["hybrid_ms"]["p95"], abs=1e-3
    )
    assert result["extrapolation"]["documents"] == 10**8
    assert sorted(path.name for path in place.iterdir()) == ["150", "150.json", "40", "40.json"]


def test_extrapolation_by_hand() -> None:
    value, words = power((1_000, 10_000), (2.0, 4.0), 1_000_000)
    assert value == pytest.approx(16.0)
    assert words.startswith("4 ms x (1,000,000 / 10,000)^0.301 = 16.0 ms")
    value, words = linear((1_000, 2_000), (30.0, 40.0), 10_000, "MiB")
    assert value == pytest.approx(120.0)
    assert words == "40.00 MiB + (40.00 - 30.00) / (2,000 - 1,000) x (10,000 - 2,000) = 120.0 MiB"


def test_the_charts_are_drawn(
    flat_result: dict[str, Any], growth_result: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    built = {"factory": "IVF32,SQ8", "wanted": 0.98, "curve": [[1, 0.6, 0.1], [4, 0.985, 0.4]]}
    drawings: list[tuple[Callable[[Any, str], None], Any]] = [
        (recall_chart, flat_result),
        (recall_chart, flat_result | {"built": built}),
        (growth_chart, growth_result[0]),
    ]
    for draw, result in drawings:
        path = tmp_path / "chart.png"
        draw(json.loads(json.dumps(result)), str(path))
        drawn = path.read_bytes()
        assert drawn[:8] == PNG and int.from_bytes(drawn[16:20], "big") == 1200
        path.unlink()
    with pytest.raises(ClozeError, match=r"must end in \.png"):
        check_plot("chart.svg")
    with pytest.raises(ClozeError, match="is not there"):
        check_plot(str(tmp_path / "none" / "chart.png"))


def test_sizes_are_numbers(cloze: Callable[..., Any], small_index: Path) -> None:
    done = cloze("bench", "growth", small_index, "--sizes", "100,1e4")
    assert done.returncode == 2 and done.stdout == ""
    assert "--sizes is '100,1e4'; give numbers with commas" in done.stderr
