"""A run that is written in one transaction, or not at all."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import index as index_module
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.index import Index
from indexer.preparation import Batch, prepare
from indexer.verification import damage

TEXTS = [f"the ship number {n} on the sea" for n in range(7)]
DOCUMENTS = [Document(id=f"{n}", text=text) for n, text in enumerate(TEXTS)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.batching._BATCH_DOCUMENTS", 2)
    monkeypatch.setattr(index_module, "_LEXICAL_BATCH_FACTOR", 1)


def settings(model: Path) -> Settings:
    return Settings(model=str(model), passage_tokens=32, passage_overlap=8)


@pytest.fixture
def index(tmp_path: Path, tiny_model: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", settings(tiny_model)) as opened:
        yield opened


def live(index: Index) -> dict[str, str]:
    return {document.id: document.text for _, document in index.store.all_live()}


@pytest.mark.parametrize("error", [ClozeError("no more"), KeyboardInterrupt()])
def test_what_stops_the_second_batch_leaves_nothing_of_the_first(
    index: Index, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    index.add([Document(id="0", text="older")])
    before = index.store.sequence
    prepared: list[Batch] = []

    def stopped(*given: object) -> Batch:
        if prepared:
            raise error
        prepared.append(prepare(*given))  # type: ignore[arg-type]
        return prepared[0]

    monkeypatch.setattr(index_module, "prepare", stopped)
    with pytest.raises(type(error)):
        index.add(DOCUMENTS, atomic=True)
    assert len(prepared[0].entries) == 2
    assert (index.store.sequence, live(index)) == (before, {"0": "older"})
    with Index.open(index.folder) as again:
        assert (again.lexical.count, again.dense.count) == (1, 1)
        assert damage(again) == []


def test_an_id_that_comes_twice_leaves_nothing(index: Index) -> None:
    with pytest.raises(ClozeError, match="comes twice"):
        index.add([*DOCUMENTS, DOCUMENTS[0]], atomic=True)
    assert live(index) == {}


def test_a_kill_in_the_second_batch_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add([DOCUMENTS[-1]])
    script = f"""
import os
from indexer import batching, index
from indexer.documents import Document
batching._BATCH_DOCUMENTS, index._LEXICAL_BATCH_FACTOR = 2, 1
prepare, turns = index.prepare, []
def killed(*given):
    turns.append(1)
    if len(turns) == 2:
        os._exit(9)
    return prepare(*given)
index.prepare = killed
documents = [Document(id=str(n), text="new") for n in range(7)]
index.Index.open({str(folder)!r}).add(documents, atomic=True)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    with Index.open(folder) as index:
        assert live(index) == {"6": TEXTS[6]}
        assert index.store.sequence == 1


def test_it_is_one_transaction_with_all_that_batches_give(
    index: Index, tmp_path: Path, tiny_model: Path
) -> None:
    told: list[int] = []
    found = index.add(
        iter(DOCUMENTS), atomic=True, published=lambda changes: told.append(index.lexical.count)
    )
    assert (told, index.store.sequence) == ([7], 1)
    with Index.open(tmp_path / "batches", settings(tiny_model)) as other:
        assert found == other.add(DOCUMENTS)
        assert other.store.sequence == 4
        assert live(other) == live(index)
        numbers, vectors = index.dense.rows()
        expected_numbers, expected = other.dense.rows()
        assert numbers.tolist() == expected_numbers.tolist()
        assert vectors.tobytes() == expected.tobytes()
    again = index.add([*DOCUMENTS[:6], Document(id="6", text="changed")], atomic=True)
    assert (again.unchanged, again.updated, index.store.sequence) == (6, 1, 2)
    assert index.add(DOCUMENTS[:6], atomic=True).unchanged == 6
    assert index.add([], atomic=True).documents == 0
    assert index.store.sequence == 2
    assert damage(index) == []


def test_the_encoder_is_settled_once_on_the_first_documents_with_words(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a later batch could be encoded in another precision than those before it."""
    asked: list[list[str]] = []

    def settle(self: Index, documents: list[Document]) -> None:
        asked.append([document.id for document in documents])

    monkeypatch.setattr(Index, "_settle", settle)
    blank = [Document(id="blank", text=""), Document(id="too", text=" ")]
    index.add([*blank, *DOCUMENTS], atomic=True)
    assert asked == [["blank", "too"], ["0", "1"]]
