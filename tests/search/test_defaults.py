"""Defaults that are stored with an index: used where a query does not say, never else."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from indexer.commands.defaults import defaults
from indexer.creation import Settings
from indexer.defaults import change_defaults
from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.index import Index as StoredIndex
from indexer.manifest import Defaults, read_manifest
from indexer.reindexing import Reindexing
from indexer.verification import verify
from search.hits import Options
from search.index import Index
from tests.indexer.classifiers import write_classifier

Cloze = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).resolve().parents[2]
QUERY = "the supersonic ship under water"
STORED = Defaults(fusion="minmax", weight=0.9, depth=20)


def store(index: Index) -> None:
    change_defaults(index.folder, lambda stored: STORED)


def set_title_weight(folder: Path, weight: int) -> None:
    change_defaults(folder, lambda stored: stored, title_weight=weight)


@pytest.fixture
def index(tmp_path: Path, tiny_model: Path, documents: list[Document]) -> Index:
    opened = Index.open(tmp_path / "index", Settings(model=str(tiny_model)))
    opened.add(documents[:80])
    return opened


def test_they_answer_as_the_same_options_do(index: Index) -> None:
    asked = index.rank(QUERY, fusion="minmax", weight=0.9, depth=20)
    built_in = index.rank(QUERY)
    store(index)
    assert index.rank(QUERY) == asked != built_in
    assert [(hit.id, hit.score) for hit in index.search(QUERY).hits] == asked


def test_options_win_over_them(index: Index) -> None:
    asked = index.rank(QUERY, fusion="rrf", depth=1000)
    store(index)
    assert index.rank(QUERY, fusion="rrf", depth=1000) == asked
    assert index.depth == 20


def test_a_writer_that_has_it_open_goes_on(index: Index, documents: list[Document]) -> None:
    store(index)
    assert index.add(documents[80:90]).added == 10
    assert read_manifest(index.folder).defaults == STORED


@pytest.mark.parametrize("of_first_stages", [False, True])
def test_an_index_from_before_they_were_stored_opens(index: Index, of_first_stages: bool) -> None:
    import hashlib

    path = index.folder / "manifest.json"
    content = json.loads(path.read_text())
    del content["defaults"], content["checksum"]
    if of_first_stages:
        content["defaults"] = {"fusion": None, "weight": None, "depth": None}
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
    index: Index,
    documents: list[Document],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index.delete(["d3"])
    store(index)
    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "encode_documents", None)
        set_title_weight(index.folder, 3)
    with Index.open(tmp_path / "other", Settings(model=str(tiny_model), title_weight=3)) as fresh:
        fresh.add(document for document in documents[:80] if document.id != "d3")
        store(fresh)
        assert dict(index.rank("water ship", mode="lexical")) == pytest.approx(
            dict(fresh.rank("water ship", mode="lexical")), abs=1e-6
        )
        assert index.rank(QUERY, mode="dense") == fresh.rank(QUERY, mode="dense")
    assert index.manifest.defaults == STORED
    index.add([Document(id="new", title="water water", text="ship")])
    assert index.lexical.title_weight == 3
    assert verify(str(index.folder)) == []


def test_where_files_can_not_be_linked_they_are_copied(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = index.rank(QUERY, mode="dense")

    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    set_title_weight(index.folder, 2)
    assert index.rank(QUERY, mode="dense") == before
    assert verify(str(index.folder)) == []


def test_a_build_that_fails_leaves_the_index_as_it_was(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, entries = index.rank(QUERY), sorted(index.folder.iterdir())

    def fail(*arguments: object) -> None:
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("indexer.lexical.Lexical.rebuild", fail)
        with pytest.raises(OSError, match="no space"):
            set_title_weight(index.folder, 4)
    assert index.rank(QUERY) == before
    assert sorted(index.folder.iterdir()) == entries


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["_build", "_share", "Lexical", "write_manifest", "_clean"])
def test_a_kill_at_any_step_leaves_a_whole_index(
    index: Index, documents: list[Document], step: str, after: bool
) -> None:
    before = index.rank(QUERY, mode="dense")
    code = f"""
import os, pathlib
import indexer.defaults as module
whole = module.{step}
def killed(*arguments):
    if {after}:
        whole(*arguments)
    os._exit(9)
module.{step} = killed
module.change_defaults(pathlib.Path({str(index.folder)!r}), lambda old: old, title_weight=3)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 9
    assert verify(str(index.folder)) == []
    with Index.open(index.folder) as opened:
        assert opened.rank(QUERY, mode="dense") == before
        opened.add(documents[80:90])
    set_title_weight(index.folder, 2)
    set_title_weight(index.folder, 3)
    with Index.open(index.folder) as opened:
        assert (opened.lexical.count, opened.lexical.title_weight) == (90, 3)
    assert verify(str(index.folder)) == []
    names = {entry.name for entry in index.folder.iterdir()}
    assert names == {"lock", "manifest.json", "data-title-3"}


def test_a_reindexing_under_way_neither_loses_documents_nor_is_lost(
    index: Index, documents: list[Document], other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Reindexing(index.folder, Settings(model=str(other_model)))
    whole = Reindexing._documents

    def disturbed(self: Reindexing, old: StoredIndex) -> Iterator[Document]:
        for place, document in enumerate(whole(self, old)):
            if place == 40:
                set_title_weight(index.folder, 3)
                index.add(documents[80:100])
            yield document

    with monkeypatch.context() as patch:
        patch.setattr(Reindexing, "_documents", disturbed)
        with pytest.raises(ClozeError, match="run this again"):
            work.run()
    assert index.rank(QUERY) and index.lexical.count == 100
    begun = [entry for entry in index.folder.iterdir() if entry.name.startswith("data-")]
    assert len(begun) == 2  # the one at work and the one begun, which goes on
    again = Reindexing(index.folder, Settings(model=str(other_model)))
    assert again.run() == 100
    with Index.open(index.folder) as opened:
        assert (opened.lexical.count, opened.lexical.title_weight) == (100, 3)
    assert verify(str(index.folder)) == []


def test_an_index_that_is_replaced_while_it_is_opened(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.structures import open_structures

    expected = index.rank("water ship", mode="dense")
    times = []

    def replaced(*arguments: object) -> object:
        times.append(1)
        if len(times) == 1:
            set_title_weight(index.folder, 3)
        return open_structures(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("indexer.opened.open_structures", replaced)
    with Index.open(index.folder) as opened:
        assert opened.rank("water ship", mode="dense") == expected
        assert opened.lexical.title_weight == 3
    assert len(times) == 2


def test_reindexing_tells_that_defaults_were_another_models(
    index: Index, other_model: Path
) -> None:
    store(index)
    work = Reindexing(index.folder, Settings(model=str(other_model)))
    work.run()
    assert read_manifest(index.folder).defaults == Defaults()
    assert work.notices == ["the search defaults were the old model's: back to the built-in"]


def test_the_command_shows_sets_and_resets(index: Index, cloze: Cloze) -> None:
    run = cloze("defaults", index.folder, "--fusion", "rrf", "--title-weight", 2, "--json")
    assert json.loads(run.stdout) == {
        "fusion": "rrf", "weight": None, "depth": None, "rerank": None, "rerank_depth": None,
        "rerank_weight": None, "title_weight": 2,
    }  # fmt: skip
    changed = cloze("defaults", index.folder, "--reset", "--weight", 0.25)
    assert changed.stdout.split() == [
        "fusion", "built-in", "weight", "0.25", "depth", "built-in", "rerank", "built-in",
        "rerank", "depth", "built-in", "rerank", "weight", "built-in", "title", "weight", "2",
    ]  # fmt: skip
    assert index.rank(QUERY) == index.rank(QUERY, fusion="minmax", weight=0.25)
    wrong = cloze("defaults", index.folder, "--fusion", "sum")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "cloze: --fusion is 'sum'; choose minmax or rrf\n",
    )


def set_reranker(folder: Path, *arguments: object) -> Defaults:
    """Run the command in this process, and return what is stored."""
    app = typer.Typer()
    app.command()(defaults)
    CliRunner().invoke(app, list(map(str, (folder, *arguments))), catch_exceptions=False)
    return read_manifest(folder).defaults


def test_a_reranker_is_checked_before_it_is_stored(
    index: Index, tiny_model: Path, tmp_path: Path
) -> None:
    before = set_reranker(index.folder, "--rerank", "late")
    assert before == Defaults(rerank="late")
    wrong = {
        "lste": r"--rerank is 'lste', which is no reranker; did you mean 'late'\?",
        "": "--rerank is '', which is no reranker; choose late, none",
        "./nothing": "there is no folder ./nothing",
        str(tiny_model): "is a BertModel in its config.json, and a cross-encoder is a",
    }
    for name, message in wrong.items():
        with pytest.raises(ClozeError, match=message):
            set_reranker(index.folder, "--rerank", name)
        assert read_manifest(index.folder).defaults == before
    with Index.open(tmp_path / "lexical", Settings(lexical_only=True)):
        pass
    with pytest.raises(ClozeError, match="--lexical-only, --rerank late needs an encoder"):
        set_reranker(tmp_path / "lexical", "--rerank", "late")


def test_a_rerankers_folder_is_stored_whole_and_its_numbers_are_its_own(
    index: Index, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cross").mkdir()
    folder = write_classifier(tiny_model, tmp_path / "cross")
    monkeypatch.chdir(tmp_path)
    late = Defaults(weight=0.3, rerank="late", rerank_depth=7, rerank_weight=0.2)
    change_defaults(index.folder, lambda _: late)
    assert set_reranker(index.folder, "--rerank", "late", "--depth", 9) == replace(late, depth=9)
    assert set_reranker(index.folder, "--rerank", "./cross", "--rerank-depth", 5) == Defaults(
        weight=0.3, depth=9, rerank=str(folder.resolve()), rerank_depth=5
    )
    assert set_reranker(index.folder, "--rerank", "cross", "--rerank-weight", 0.4) == Defaults(
        weight=0.3, depth=9, rerank=str(folder.resolve()), rerank_depth=5, rerank_weight=0.4
    )
    assert set_reranker(index.folder, "--rerank", "none") == Defaults(
        weight=0.3, depth=9, rerank="none"
    )
