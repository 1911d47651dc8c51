"""Shown hits held against what was written: no damaged document, id, metadata or passage."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import DamagedIndexError
from search.index import Index

NEEDLE = "an-id-like-no-other"


@pytest.fixture(scope="module")
def whole(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("integrity") / "index"
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        index.add(
            [
                Document(id="a", title="fox", text="the old house", metadata={"year": 2001}),
                Document(id=NEEDLE, title="ship", text="water under the ship"),
            ]
        )
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "index"))


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "store.sqlite") as database:
        assert database.execute(statement).rowcount == 1
    database.close()


def test_sound_documents_are_shown(copy: Path) -> None:
    with Index.open(copy) as index:
        assert [hit.id for hit in index.search("old house", mode="lexical").hits] == ["a"]
        assert {hit.id for hit in index.search("ship").hits} == {"a", NEEDLE}


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE contents SET text = 'the odd house' WHERE number = 1", "the text of document 'a'"),
        ("UPDATE contents SET title = 'fog' WHERE number = 1", "the text of document 'a'"),
        (
            "UPDATE contents SET metadata = '{\"year\": 2003}' WHERE number = 1",
            "the metadata of document 'a'",
        ),
        ("UPDATE contents SET metadata = '[1]' WHERE number = 1", "the metadata of document 'a'"),
        ("UPDATE contents SET metadata = '{\"year' WHERE number = 1", "number 1 can't be decoded"),
        (
            "UPDATE contents SET text = CAST(x'74e8' AS TEXT) WHERE number = 1",
            "number 1 can't be decoded",
        ),
        ("UPDATE documents SET text_hash = 7 WHERE number = 1", "7 was written"),
        ("UPDATE documents SET metadata_hash = x'07' WHERE number = 1", "07 was written"),
        ("DELETE FROM contents WHERE number = 1", "number 1 has lost its content"),
        ("DELETE FROM passages WHERE passage = 1 << 20", "a passage of document 'a' is lost"),
        (
            'UPDATE passages SET "end" = 900 WHERE passage = 1 << 20',
            "a passage of document 'a' goes from 0 to 900",
        ),
        (
            "UPDATE passages SET \"start\" = 'x' WHERE passage = 1 << 20",
            "a passage of document 'a' goes from 'x'",
        ),
    ],
)
def test_what_is_not_what_was_written_is_told(copy: Path, statement: str, told: str) -> None:
    change(copy, statement)
    with Index.open(copy) as index, pytest.raises(DamagedIndexError) as caught:
        index.search("the old house")
    assert told in str(caught.value)
    assert f"cloze verify {copy}" in str(caught.value)


@pytest.mark.parametrize("occurrence", [0, 1])
def test_an_id_is_that_of_its_document(copy: Path, occurrence: int) -> None:
    """It stands in two places, the table and the index of ids; either may be spoilt."""
    content = bytearray((copy / "store.sqlite").read_bytes())
    places = [at for at in range(len(content)) if content.startswith(NEEDLE.encode(), at)]
    assert len(places) == 2
    content[places[occurrence] + 4] ^= 1
    (copy / "store.sqlite").write_bytes(content)
    with Index.open(copy) as index, pytest.raises(DamagedIndexError, match="is not listed for it"):
        index.search("water", mode="lexical")


def test_a_document_that_was_replaced_meanwhile_is_no_damage(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader whose postings stand at the commit before shows the older document."""
    monkeypatch.setattr(Index, "_finish", lambda *_: None)
    with Index.open(copy) as reader, Index.open(copy) as writer:
        writer.add([Document(id="a", title="fox", text="a new house")])
        writer.delete([NEEDLE])
        assert reader.store.sequence == 3
        shown = reader.search("house water", mode="lexical").hits
        assert reader.sequence == 1
        assert {hit.id: hit.snippet for hit in shown} == {
            "a": "the old house",
            NEEDLE: "water under the ship",
        }
