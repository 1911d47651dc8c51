"""Verification: a clean index is clean, and a changed byte anywhere is found."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from indexer import vector_file
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError, DamagedIndexError
from indexer.index import Index
from indexer.records import PASSAGE_BITS
from indexer.verification import verify


@pytest.fixture(scope="module")
def whole(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "index"
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        index.add(documents)
        index.delete(["d3", "d4"])
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "index")
    return tmp_path / "index"


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "store.sqlite") as database:
        assert database.execute(statement).rowcount == 1
    database.close()


def test_a_clean_index_is_clean(whole: Path) -> None:
    assert verify(str(whole)) == []
    assert verify(str(whole), threads=1) == []


def test_an_empty_index_is_clean(tiny_model: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", Settings(model=str(tiny_model))) as index:
        index.add([Document(id="a", text="ship")])
        index.delete(["a"])
    assert verify(str(tmp_path / "index")) == []


@pytest.mark.parametrize("kind", [".idx", ".term", ".fieldnorm", ".fast", ".store", ".del"])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_flipped_byte_in_the_postings_is_found(copy: Path, kind: str, share: float) -> None:
    file = sorted(copy.glob(f"lexical/*/*{kind}"))[0]
    content = bytearray(file.read_bytes())
    content[int(share * len(content))] ^= 0x41
    file.write_bytes(content)
    found = verify(str(copy))
    assert found
    assert "lexical" in found[0]


@pytest.mark.parametrize("wreck", ["flip", "cut"])
def test_a_changed_vector_file_is_found(copy: Path, wreck: str) -> None:
    (file,) = copy.glob("dense/*.safetensors")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content[:-10] if wreck == "cut" else content)
    (line,) = verify(str(copy))
    assert str(file) in line


def test_a_changed_vector_under_checksums_that_fit_is_found(copy: Path) -> None:
    """Only the store can tell."""
    (file,) = copy.glob("dense/*.safetensors")
    held = vector_file.read(file, 64, 1)
    held.rows[3, 5] += np.float16(0.25)
    rows, notes = iter([held.rows]), held.notes
    with vector_file.written(
        file.parent, held.numbers, held.alive, rows, held.rows.shape[1], notes
    ) as publish:
        publish()
    (line,) = verify(str(copy))
    assert "is not the stored one" in line


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE contents SET text = text || ' ' WHERE number = 9", "'d8' is not what was written"),
        ("UPDATE contents SET title = 'x' WHERE number = 9", "'d8' is not what was written"),
        ("UPDATE contents SET metadata = '{}' WHERE number = 9", "'d8' is not what was written"),
        ("UPDATE contents SET metadata = '{' WHERE number = 9", "can't be read"),
        ("UPDATE contents SET text = CAST(x'ff' AS TEXT) WHERE number = 9", "can't be read"),
        ("DELETE FROM contents WHERE number = 9", "document 9 has no content"),
        (
            f"UPDATE passages SET vector = zeroblob(128) WHERE passage = {9 << PASSAGE_BITS}",
            f"the vector of passage {9 << PASSAGE_BITS} is not the stored one",
        ),
        (
            f"DELETE FROM passages WHERE passage = {9 << PASSAGE_BITS}",
            f"1 passages are not in the store, first {9 << PASSAGE_BITS}",
        ),
    ],
)
def test_a_changed_row_of_the_store_is_found(copy: Path, statement: str, message: str) -> None:
    change(copy, statement)
    assert message in "\n".join(verify(str(copy)))


def test_a_document_that_only_the_store_lost_is_found(copy: Path) -> None:
    change(copy, "UPDATE documents SET deleted = 1 WHERE number = 9")
    found = verify(str(copy))
    assert any("1 documents are not in the store, first 9" in line for line in found)


def test_a_broken_database_is_found(copy: Path) -> None:
    file = copy / "store.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:8192] = bytes(4096)
    file.write_bytes(content)
    found = verify(str(copy))
    assert found
    assert "store" in found[0]


def test_a_broken_manifest_is_found(copy: Path) -> None:
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"english"', '"german"'))
    (line,) = verify(str(copy))
    assert "manifest.json is damaged" in line


def test_what_is_no_index_is_an_error_not_damage(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="is not an index"):
        verify(str(tmp_path))


def test_rebuilt_postings_are_told_once(copy: Path) -> None:
    (meta,) = copy.glob("lexical/*/meta.json")
    meta.write_text("{}")
    assert len(verify(str(copy))) == 1
    assert verify(str(copy)) == []


def test_compaction_does_not_make_a_damaged_vector_the_true_one(copy: Path) -> None:
    blob = "zeroblob(128)"
    change(copy, f"UPDATE passages SET vector = {blob} WHERE passage = {9 << PASSAGE_BITS}")
    with Index.open(copy) as index, pytest.raises(DamagedIndexError, match=r"a vector of .*'d8'"):
        index.compact()
    (line,) = verify(str(copy))
    assert "is not the stored one" in line
