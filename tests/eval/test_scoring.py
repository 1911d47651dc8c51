"""Runs of several systems at once are those of each alone, and finished ones are reused."""

from dataclasses import replace
from pathlib import Path

import pytest

from eval.bench.head import write_with_head
from eval.corpus_index import _encoding
from eval.finished import code_digest, index_state, keep_run, load_run, reranker_state, run_key
from eval.runs import Run
from eval.scoring import Scoring
from eval.systems import System, named_systems
from indexer.caches import cache_home
from indexer.creation import Settings
from indexer.defaults import change_defaults
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.manifest import Defaults
from indexer.models import find_model
from indexer.progress import Step, silent
from indexer.runtime.classifier import read_classifier
from search.index import Index

ROOT = Path(__file__).resolve().parents[2]
QUERIES = {"q1": "the quick fish", "q2": "supersonic ship", "none": "  ", "q3": "用搜索引擎"}


def test_shared_stages_give_what_each_system_gives_alone(small_index: Path) -> None:
    systems = named_systems(["lexical,dense,hybrid,hybrid(fusion=rrf),hybrid(weight=0.9,depth=20)"])
    with Index.open(small_index) as index:
        runs = Scoring(index, QUERIES, 40).runs(systems, {}, silent)
        for system in systems:
            for query, text in QUERIES.items():
                alone = index.rank(text, top=40, **system.options)
                assert list(runs[system.name].ranked[query]) == [
                    (document.replace(" ", "%20"), score) for document, score in alone
                ]


def test_a_finished_run_is_reused_and_equal(small_index: Path) -> None:
    systems = named_systems(["rank-bm25,hybrid"])
    queries = {"r1": "a lazy bear", "r2": "zyzzyva"}
    with Index.open(small_index) as index:
        first, second = Scoring(index, queries, 10), Scoring(index, queries, 10)
        fresh = first.runs(systems, {}, silent)
        kept = second.runs(systems, {}, silent)
        anew = Scoring(index, queries, 10, reuse=False)
        again = anew.runs(systems, {}, silent)
    assert (first.notices, anew.notices) == ([], [])
    assert second.notices == ["finished runs were reused: rank-bm25, hybrid"]
    assert second.position() == 1.0
    assert lists(kept) == lists(fresh) == lists(again)
    assert first.tags == second.tags


def lists(runs: dict[str, Run]) -> dict[str, dict[str, list[tuple[str, float]]]]:
    return {name: {q: list(r) for q, r in run.ranked.items()} for name, run in runs.items()}


def test_whatever_changes_a_run_changes_its_key(
    tmp_path: Path,
    documents: list[Document],
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lexical, other = named_systems(["lexical,hybrid(weight=0.1)"])
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        index.add(documents[:50])

        def key(system: System = lexical, top: int = 10, **queries: str) -> str:
            return run_key(system, index_state(index), QUERIES | queries, top)

        keys = [key(), key(other), key(top=11), key(q1="another")]
        index.add(documents[50:51])
        keys.append(key())
        # The same documents once more, with a dead one in BM25's statistics.
        index.delete([documents[50].id])
        keys.append(key())
        change_defaults(index.folder, lambda stored: Defaults(weight=0.3))
        keys.append(key())
        reranked = named_systems(["lexical(rerank=m)", "lexical(rerank=m,rerank_weight=0.1)"])
        for system in reranked:
            for content in ("first", "second"):
                monkeypatch.setattr(
                    Index, "reranker_hash", lambda self, name, content=content: f"{content} {name}"
                )
                told = reranker_state(system, index)
                assert told == ["m", f"{content} m"]
                keys.append(run_key(system, index_state(index), QUERIES, 10, told))
        assert reranker_state(lexical, index) == []
        change_defaults(index.folder, lambda stored: Defaults(weight=0.3, rerank="late"))
        index.refresh()
        assert reranker_state(lexical, index) == ["late", "second late"]
        assert reranker_state(replace(lexical, kind="baseline"), index) == []
        folder = write_with_head(find_model(str(tiny_model)), tmp_path)
        cross = replace(lexical, options={"rerank": str(folder)})
        monkeypatch.setattr(Index, "reranker_hash", None)  # nothing is loaded for it
        assert reranker_state(cross, index) == [
            str(folder),
            read_classifier(folder, "").content_hash,
        ]
        assert reranker_state(replace(lexical, options={"rerank": "none"}), index) == []
        keys.append(key())
        monkeypatch.setenv("CLOZE_PRECISION", "int8")
        keys.append(key())
        assert key() == keys[-1]
        monkeypatch.setattr("eval.finished.code_digest", lambda sources: "other code")
        keys.append(key())
    assert len(set(keys)) == len(keys)


def test_the_texts_that_int8_is_calibrated_with_count_as_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "indexer" / "runtime"
    place.mkdir(parents=True)
    (place / "calibration.py").write_text("")
    monkeypatch.setattr("eval.finished._ROOT", tmp_path)
    digests = []
    for text in ("first", "second"):
        (place / "calibration.txt").write_text(text)
        code_digest.cache_clear()
        digests.append(code_digest(("indexer",)))
    code_digest.cache_clear()
    assert digests[0] != digests[1]
    assert (ROOT / "indexer" / "runtime" / "calibration.txt").exists()


def test_an_index_of_the_cache_is_named_by_the_calibration_of_int8(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encodings() -> list[list[object]]:
        found = []
        for precision in ("fp32", "int8"):
            monkeypatch.setenv("CLOZE_PRECISION", precision)
            found.append(_encoding(str(tiny_model), "cpu"))
        return found

    before = encodings()
    monkeypatch.setattr("eval.corpus_index.CALIBRATION_HASH", "another recipe")
    after = encodings()
    assert after[0] == before[0] != before[1] != after[1]


def test_a_run_of_an_index_that_changed_meanwhile_is_told_and_not_kept(
    tmp_path: Path, documents: list[Document]
) -> None:
    systems = named_systems(["lexical"])
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        index.add(documents[:20])

        def disturb(step: Step) -> None:
            if step.documents == 2:
                index.add(documents[20:40])

        first, second = Scoring(index, QUERIES, 10), Scoring(index, QUERIES, 10)
        first.runs(systems, {}, disturb)
        second.runs(systems, {}, silent)
    assert ["was written to meanwhile" in notice for notice in first.notices] == [True]
    assert second.notices == []


def test_a_damaged_kept_run_counts_as_none() -> None:
    run = Run(name="a", ranked={"q": [("d", 0.1 + 0.2)], "empty": []})
    queries = list(run.ranked)
    keep_run("some-key", run)
    assert load_run("some-key", "a", queries) == run
    assert load_run("some-key", "a", ["q"]) is None
    place = cache_home() / "runs" / "some-key.jsonl.gz"
    place.write_bytes(place.read_bytes()[:-9])
    assert load_run("some-key", "a", queries) is None
    place.write_bytes(b"")
    assert load_run("some-key", "a", queries) is None
    assert load_run("another-key", "a", queries) is None


def test_a_cache_that_can_not_be_written_is_told_of(
    small_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with Index.open(small_index) as index:
        monkeypatch.setenv("CLOZE_HOME", str(tmp_path / "file"))
        scoring = Scoring(index, QUERIES, 10)
        assert scoring.runs(named_systems(["lexical"]), {}, silent)["lexical"].ranked["q1"]
    (notice,) = scoring.notices
    assert notice.startswith("the run of lexical could not be kept")


def test_functions_are_asked_for_every_query_with_a_text() -> None:
    asked = []

    def find(query: str, top: int) -> list[tuple[str, float]]:
        asked.append(query)
        return [("two words", 2.0), ("b", 1.0)][:top]

    (system,) = named_systems(["module:find"])
    runs = Scoring(None, QUERIES, 1).runs([system], {"find": find}, silent)
    assert asked == [text for text in QUERIES.values() if text.strip()]
    assert runs["find"].ranked["q1"] == [("two%20words", 2.0)]
    assert runs["find"].ranked["none"] == []


def test_a_function_that_answers_wrongly_is_named() -> None:
    (system,) = named_systems(["module:find"])
    with pytest.raises(ClozeError, match="find returned document 'a' twice"):
        Scoring(None, {"q": "text"}, 5).runs(
            [system], {"find": lambda q, t: [("a", 1)] * 2}, silent
        )
