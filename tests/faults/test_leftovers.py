"""What a killed process leaves half written is neither in the way nor taken for damage."""

import json
import shutil
from pathlib import Path

from indexer.creation import Settings
from indexer.documents import Document
from indexer.index import Index
from indexer.manifest import SCRATCH
from indexer.verification import damage

_LEXICAL = Settings(lexical_only=True)


def _documents() -> list[Document]:
    return [Document(id=str(number), text=f"fox {number}") for number in range(20)]


def test_deletions_of_a_commit_that_was_killed(tmp_path: Path) -> None:
    """The next commit has to write a file of the same name."""
    folder, copy = tmp_path / "index", tmp_path / "copy"
    with Index.open(folder, _LEXICAL) as index:
        index.add(_documents())
    shutil.copytree(folder, copy)
    with Index.open(copy) as index:
        index.delete(["3"])
    (written,) = (copy / "lexical" / "000001").glob("*.del")
    generation = folder / "lexical" / "000001"
    (generation / written.name).write_bytes(written.read_bytes()[:10])
    managed = generation / ".managed.json"
    managed.write_text(json.dumps([*json.loads(managed.read_text()), written.name]))
    with Index.open(folder) as index:
        assert damage(index) == []
        index.delete(["3"])
        assert (index.lexical.count, damage(index)) == (19, [])


def test_a_creation_that_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / SCRATCH).write_text('{"encoder": nu')
    with Index.open(folder, _LEXICAL) as index:
        assert index.add(_documents()).added == 20


def test_vectors_whose_writing_was_killed(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        index.add(_documents()[:10])
        left = folder / "dense" / "tmpleft"
        left.mkdir()
        (left / "new").write_bytes(b"half")
        assert damage(index) == []
        index.add(_documents())
        assert not left.exists() and index.dense.count == 20
