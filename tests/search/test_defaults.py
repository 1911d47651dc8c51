"""Defaults that are stored with an index: used where a query does not say, never else."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.creation import Settings
from indexer.defaults import write_defaults
from indexer.documents import Document
from indexer.manifest import Defaults, read_manifest
from indexer.reindexing import Reindexing
from search.hits import Options
from search.index import Index

Cloze = Callable[..., "subprocess.CompletedProcess[str]"]
QUERY = "the supersonic ship under water"
STORED = Defaults(fusion="minmax", weight=0.9, depth=20)


@pytest.fixture
def index(tmp_path: Path, tiny_model: Path, documents: list[Document]) -> Index:
    opened = Index.open(tmp_path / "index", Settings(model=str(tiny_model)))
    opened.add(documents[:80])
    return opened


def test_they_answer_as_the_same_options_do(index: Index) -> None:
    asked = index.rank(QUERY, fusion="minmax", weight=0.9, depth=20)
    built_in = index.rank(QUERY)
    write_defaults(index.folder, STORED)
    assert index.rank(QUERY) == asked != built_in
    assert [(hit.id, hit.score) for hit in index.search(QUERY).hits] == asked


def test_options_win_over_them(index: Index) -> None:
    asked = index.rank(QUERY, fusion="rrf", depth=1000)
    write_defaults(index.folder, STORED)
    assert index.rank(QUERY, fusion="rrf", depth=1000) == asked
    assert index.depth == 20


def test_a_writer_that_has_it_open_goes_on(index: Index, documents: list[Document]) -> None:
    write_defaults(index.folder, STORED)
    assert index.add(documents[80:90]).added == 10
    assert read_manifest(index.folder).defaults == STORED


def test_an_index_from_before_they_were_stored_opens(index: Index) -> None:
    import hashlib

    path = index.folder / "manifest.json"
    content = json.loads(path.read_text())
    del content["defaults"], content["checksum"]
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(content | {"checksum": checksum}))
    with Index.open(index.folder) as old:
        assert old.rank(QUERY) == index.rank(QUERY)


def test_each_of_several_ways_is_as_alone(index: Index) -> None:
    ways: list[Options] = [
        {"mode": "lexical", "top": 7},
        {"mode": "dense", "offset": 3},
        {"weight": 0.2},
        {"fusion": "rrf", "depth": 15},
        {"depth": 5, "top": 40},
    ]
    together = index.rank_each(QUERY, ways, filter="year < 2005")
    assert together == [index.rank(QUERY, filter="year < 2005", **way) for way in ways]
    assert index.rank_each("  ", ways) == [[] for _ in ways]
    assert index.rank_each(QUERY, []) == []


def test_a_search_after_another_process_has_reindexed(index: Index, other_model: Path) -> None:
    before = index.rank(QUERY, mode="dense")
    Reindexing(index.folder, Settings(model=str(other_model))).run()
    after = index.rank(QUERY)
    assert index.rank(QUERY, mode="dense") != before
    with Index.open(index.folder) as fresh:
        assert fresh.rank(QUERY) == after


def test_a_title_weight_is_changed_without_encoding(
    index: Index, documents: list[Document], tiny_model: Path, tmp_path: Path
) -> None:
    from indexer.reweighting import set_title_weight

    index.delete(["d3"])
    write_defaults(index.folder, STORED)
    index.encoder.encode_documents = None  # type: ignore[assignment, method-assign]
    set_title_weight(index.folder, 3)
    with Index.open(tmp_path / "other", Settings(model=str(tiny_model), title_weight=3)) as fresh:
        fresh.add(document for document in documents[:80] if document.id != "d3")
        write_defaults(fresh.folder, STORED)
        assert dict(index.rank("water ship", mode="lexical")) == pytest.approx(
            dict(fresh.rank("water ship", mode="lexical")), abs=1e-6
        )
        assert index.rank(QUERY, mode="dense") == fresh.rank(QUERY, mode="dense")
        assert index.manifest.defaults == STORED
        index.add([Document(id="new", title="water water", text="ship")])
        assert index.lexical.title_weight == 3


def test_the_command_shows_sets_and_resets(index: Index, cloze: Cloze) -> None:
    run = cloze("defaults", index.folder, "--fusion", "rrf", "--title-weight", 2, "--json")
    assert json.loads(run.stdout) == {
        "fusion": "rrf", "weight": None, "depth": None, "title_weight": 2,
    }  # fmt: skip
    changed = cloze("defaults", index.folder, "--reset", "--weight", 0.25)
    assert changed.stdout.split() == [
        "fusion", "built-in", "weight", "0.25", "depth", "built-in", "title", "weight", "2",
    ]  # fmt: skip
    assert index.rank(QUERY) == index.rank(QUERY, fusion="minmax", weight=0.25)
    wrong = cloze("defaults", index.folder, "--fusion", "sum")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "cloze: --fusion is 'sum'; choose minmax or rrf\n",
    )
