"""Runs of several systems at once are those of each alone, and finished ones are reused."""

from pathlib import Path

import pytest

from eval.finished import keep_run, load_run, run_key
from eval.runs import Run
from eval.scoring import Scoring
from eval.systems import named_systems
from indexer.defaults import write_defaults
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.manifest import Defaults
from indexer.models import cache_home
from indexer.progress import silent
from search.index import Index

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
    assert (first.reused, second.reused) == ([], ["rank-bm25", "hybrid"])
    assert second.position() == 1.0
    assert {name: {q: list(r) for q, r in run.ranked.items()} for name, run in kept.items()} == {
        name: {q: list(r) for q, r in run.ranked.items()} for name, run in fresh.items()
    }
    assert first.tags == second.tags


def test_whatever_changes_a_run_changes_its_key(tmp_path: Path, documents: list[Document]) -> None:
    from indexer.creation import Settings

    lexical, other = named_systems(["lexical,hybrid(weight=0.1)"])
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        index.add(documents[:5])
        keys = [
            run_key(lexical, index, QUERIES, 10),
            run_key(other, index, QUERIES, 10),
            run_key(lexical, index, QUERIES, 11),
            run_key(lexical, index, QUERIES | {"q1": "another"}, 10),
        ]
        index.add(documents[5:6])
        keys.append(run_key(lexical, index, QUERIES, 10))
        write_defaults(index.folder, Defaults(weight=0.3))
        index.refresh()
        keys.append(run_key(lexical, index, QUERIES, 10))
        assert run_key(lexical, index, QUERIES, 10) == keys[-1]
    assert len(set(keys)) == len(keys)


def test_a_damaged_kept_run_counts_as_none() -> None:
    run = Run(name="a", ranked={"q": [("d", 0.1 + 0.2)], "empty": []})
    keep_run("some-key", run)
    assert load_run("some-key", "a") == run
    place = cache_home() / "runs" / "some-key.jsonl.gz"
    place.write_bytes(place.read_bytes()[:-9])
    assert load_run("some-key", "a") is None
    assert load_run("another-key", "a") is None


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
