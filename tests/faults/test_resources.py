"""No room, no right to write, no files, no memory: one line says so, and nothing is lost.

Disks are small tmpfs mounts, which only root may make: others run
`unshare -rm pytest tests/faults/test_resources.py`.
"""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import indexer.batching
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.frozen import connect_frozen
from indexer.index import Index
from indexer.verification import damage
from tests.faults.processes import ROOT

Run = Callable[..., "subprocess.CompletedProcess[str]"]

_MIB = 2**20
_TEXT = "the old stone house by the river and the quiet fox of the mountain "
# Commands on an index and one more corpus, and whether they write.
_COMMANDS = {
    "index": (("{index}", "{more}"), True),
    "delete": (("{index}", "d1", "d2"), True),
    "compact": (("{index}",), True),
    "backup": (("{index}", "{index}.tar"), True),
    "search": (("{index}", "fox", "--json"), False),
    "verify": (("{index}", "--json"), False),
}
_WRITING = [name for name, (_, writes) in _COMMANDS.items() if writes]


def _document(number: int) -> Document:
    return Document(id=f"d{number}", text=f"{_TEXT}{number} " * 4, metadata={"n": number})


def _write(path: Path, numbers: range) -> Path:
    lines = [
        json.dumps({"_id": d.id, "text": d.text, "metadata": dict(d.metadata)})
        for d in map(_document, numbers)
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("corpora")
    return _write(home / "first.jsonl", range(400)), _write(home / "more.jsonl", range(300, 900))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with some dead documents, to be copied."""
    folder = tmp_path_factory.mktemp("sound") / "index"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add(map(_document, range(400)))
        index.delete([f"d{number}" for number in range(390, 400)])
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "cloze-test", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system; run it under: unshare -rm")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(disk: Path, left: int) -> Path:
    """Leave so many bytes of a disk."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast.write_bytes(bytes(max(0, free - left)))
    return ballast


def _command(name: str, index: Path, corpora: tuple[Path, Path]) -> list[str]:
    arguments = [each.format(index=index, more=corpora[1]) for each in _COMMANDS[name][0]]
    return [name, *arguments]


def _assert_one_line(run: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert run.returncode in (1, 2), run
    assert run.stderr.count("\n") == 1 and run.stderr.startswith("cloze: "), run.stderr
    assert any(word in run.stderr for word in words), run.stderr


def _ids(index: Path) -> set[str]:
    """The ids of an index, which must be whole."""
    with Index.open(index) as opened:
        assert damage(opened) == []
        return set(opened.store.live_ids())


@pytest.mark.parametrize("name", _WRITING)
def test_a_full_disk(
    name: str, cloze: Run, disk: Path, sound: Path, corpora: tuple[Path, Path]
) -> None:
    index = disk / "index"
    shutil.copytree(sound, index)
    before = _ids(index)
    # SQLite takes 32 KiB to begin with: enough to search by, or to begin and fail later.
    ballast = _fill(disk, left=0 if name == "delete" else 64 * 1024)
    run = cloze(*_command(name, index, corpora))
    _assert_one_line(run, "the disk is full: make room", "look whether the disk is full")
    if name != "delete":
        assert cloze("search", index, "fox").returncode == 0
    ballast.unlink()
    assert _ids(index) == before
    again = cloze(*_command(name, index, corpora))
    assert again.returncode == 0, again.stderr
    gone = {"d1", "d2"} if name == "delete" else set()
    new = {f"d{number}" for number in range(300, 900)} if name == "index" else set()
    assert _ids(index) == (before | new) - gone


def test_what_was_acknowledged_before_the_disk_was_full(
    disk: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setattr(indexer.batching, "_BATCH_DOCUMENTS", 10)
    acknowledged: set[str] = set()
    batch: list[str] = []

    def documents() -> Iterator[Document]:
        for number in range(5000):
            if len(batch) == 10:
                acknowledged.update(batch)
                batch.clear()
            yield _document(number)
            batch.append(f"d{number}")

    ballast = _fill(disk, left=_MIB)
    with Index.open(disk / "index", Settings(model=str(tiny_model)), threads=1) as index:
        with pytest.raises(Exception, match=r"full|space"):
            index.add(documents())
    assert len(acknowledged) > 50
    ballast.unlink()
    found = _ids(disk / "index")
    assert acknowledged <= found and len(found) <= len(acknowledged) + 10


@pytest.fixture
def frozen(disk: Path, sound: Path) -> Iterator[Path]:
    """An index on a file system that is mounted read-only."""
    index = disk / "index"
    shutil.copytree(sound, index)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    yield index


@pytest.mark.parametrize("name", _WRITING)
def test_a_read_only_file_system(
    name: str, cloze: Run, frozen: Path, corpora: tuple[Path, Path]
) -> None:
    _assert_one_line(cloze(*_command(name, frozen, corpora)), "its file system is read-only")


def test_a_read_only_file_system_is_searched(cloze: Run, frozen: Path, sound: Path) -> None:
    found, expected = (cloze("search", each, "fox 7", "--json") for each in (frozen, sound))
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["hits"] == json.loads(expected.stdout)["hits"]
    assert "can't be written: it is searched as it stands" in found.stderr


def test_a_log_that_a_frozen_store_would_not_see_is_told(sound: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    shutil.copytree(sound, index)
    with Index.open(index) as writer, Index.open(index) as reader:
        with reader.reading():  # keeps the log from being folded in
            writer.delete(["d1"])
            with pytest.raises(ClozeError, match="transactions that are not in store"):
                connect_frozen(index / "store.sqlite")
    with contextlib.closing(connect_frozen(index / "store.sqlite")) as store:
        assert store.execute("SELECT count(*) FROM documents WHERE deleted IS NULL").fetchone() == (
            389,
        )


# Root runs a command, which loads what that needs, becomes nobody, and runs it on another index.
_AS_NOBODY = """
import contextlib, io, os, sys
import cloze
_, warm, name, index, *rest = sys.argv
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    cloze.app([name, warm, *rest], standalone_mode=False)
import indexer.refusals
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.argv = ["cloze", name, index, *rest]
cloze.main()
"""


def test_another_user_may_search_but_not_write(sound: Path, corpora: tuple[Path, Path]) -> None:
    if os.getuid() != 0:
        pytest.skip("only root may become another user")
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        index, more = Path(place) / "index", Path(place) / "more.jsonl"
        shutil.copytree(sound, index)
        shutil.copy(corpora[1], more)
        for path in (Path(place), *Path(place).rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        for name in ("index", "delete"):
            run = _as_nobody(Path(place), _command(name, index, (more, more)))
            _assert_one_line(run, "this user may not do that there")
        run = _as_nobody(Path(place), ["search", str(index), "fox", "--json"])
        assert run.returncode == 0, run.stderr
        assert len(json.loads(run.stdout)["hits"]) == 10


def _as_nobody(place: Path, command: list[str]) -> "subprocess.CompletedProcess[str]":
    warm = place / "warm"
    if not warm.exists():
        shutil.copytree(place / "index", warm)
    return subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(warm), *command],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["index", "delete", "compact"])
def test_too_many_open_files(
    name: str, cloze: Run, sound: Path, corpora: tuple[Path, Path], tmp_path: Path
) -> None:
    index = tmp_path / "index"
    shutil.copytree(sound, index)
    before = _ids(index)
    limit = _limit("NOFILE", 11)  # Python starts, and a search works
    _assert_one_line(cloze(*_command(name, index, corpora), preexec_fn=limit), "ulimit -n")
    assert before - {"d1", "d2"} <= _ids(index)
    assert cloze(*_command("search", index, corpora), preexec_fn=limit).returncode == 0


@pytest.mark.parametrize("name", ["index", "search"])
def test_a_memory_limit(
    name: str, cloze: Run, sound: Path, corpora: tuple[Path, Path], tmp_path: Path
) -> None:
    index = tmp_path / "index"
    shutil.copytree(sound, index)
    before = _ids(index)
    run = cloze(*_command(name, index, corpora), preexec_fn=_limit("AS", 200 * _MIB))
    _assert_one_line(run, "memory ran out")
    assert before <= _ids(index)
    assert cloze(*_command(name, index, corpora)).returncode == 0


def _limit(kind: str, value: int) -> Callable[[], None]:
    which = getattr(resource, f"RLIMIT_{kind}")
    return lambda: resource.setrlimit(which, (value, value))
