"""Indexes of every released format, opened by today's code: tests/golden/make.py made them."""

import errno
import json
import math
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from indexer import migration
from indexer.backup import BackingUp
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.filters import parse
from indexer.index import Index
from indexer.manifest import FORMAT, read_manifest
from indexer.near_duplicates import sketch
from indexer.restoration import Restoration
from indexer.verification import damage
from tests.faults.contents import lexical_hits
from tests.golden.make import token_hashes

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("format-*.json"))
Cloze = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """An index of format 1, with vectors."""
    return unpacked("format-1-dense", tmp_path)


def unpacked(name: str, place: Path) -> Path:
    with tarfile.open(GOLDEN / f"{name}.tar.gz") as archive:
        archive.extractall(place / name, filter="data")
    return place / name


def recorded(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((GOLDEN / f"{name}.json").read_bytes())


def assert_as_recorded(index: Index, name: str) -> None:
    expected = recorded(name)
    found = {d.id: [d.title, d.text, dict(d.metadata)] for _, d in index.store.all_live()}
    assert found == expected["documents"]
    assert index.store.dead() == expected["dead"]
    for query, hits in expected["lexical"].items():
        assert_scores(lexical_hits(index, query), hits)
    for query, dense in expected.get("dense", {}).items():
        vector = np.array(dense["vector"], dtype=np.float32)
        nearest = index.dense.search(vector, 100)
        ids = index.store.ids(nearest.numbers.tolist())
        pairs = zip(nearest.numbers.tolist(), nearest.scores.tolist(), strict=True)
        assert_scores({ids[number]: score for number, score in pairs}, dense["hits"])
        assert query in expected["lexical"]
    if "token_vectors" in expected:
        assert token_hashes(index) == expected["token_vectors"]
    for text, ids_passing in expected["filters"].items():
        numbers = index.store.matching(parse(text), index.sequence).tolist()
        assert sorted(index.store.ids(numbers).values()) == ids_passing


def assert_scores(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    for id, score in expected.items():
        assert math.isclose(found[id], score, rel_tol=1e-5, abs_tol=1e-6), (id, found[id], score)


def version(folder: Path) -> int:
    store = sqlite3.connect(folder / "store.sqlite")
    (found,) = store.execute("PRAGMA user_version").fetchone()
    store.close()
    return int(found)


def test_every_older_format_is_here() -> None:
    for number in range(1, FORMAT):
        for kind in ("lexical", "dense"):
            assert f"format-{number}-{kind}" in NAMES
    for path in GOLDEN.glob("*.tar.gz"):
        assert path.stat().st_size < 200_000


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_and_finds_what_it_did(name: str, tmp_path: Path) -> None:
    folder = unpacked(name, tmp_path)
    expected = recorded(name)
    assert len(expected["documents"]) == 23
    assert sum(map(len, expected["lexical"].values())) > 20
    assert all(expected["filters"].values())
    with Index.open(folder) as index:
        assert_as_recorded(index, name)
        assert damage(index) == []
    assert read_manifest(folder).format == FORMAT
    with Index.open(folder) as index:  # as it is after the upgrade
        assert index.notices == []
        assert_as_recorded(index, name)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_backed_up(name: str, tmp_path: Path) -> None:
    folder = unpacked(name, tmp_path)
    BackingUp(folder, tmp_path / "x.tgz").run()
    Restoration(tmp_path / "x.tgz", tmp_path / "back").run()
    with Index.open(tmp_path / "back") as index:
        assert_as_recorded(index, name)
        assert damage(index) == []


def test_a_lexical_one_of_format_1_is_written_and_compacted(tmp_path: Path) -> None:
    folder = unpacked("format-1-lexical", tmp_path)
    text = "The ninth grey ship of the fleet has come home over the wide water at last."
    with Index.open(folder) as index:
        assert index.store.purged == index.store.sequence
        index.add([Document(id="new", text=text), Document(id="like it", text=text + " Yes.")])
        assert index.store.counts()["near_duplicates"] == 1
        index.compact()
        assert index.store.dead() == 0
        assert index.store.purged == index.store.sequence
        assert damage(index) == []
        assert set(lexical_hits(index, "fleet")) == {"new", "like it"}


def test_a_crash_within_the_store_leaves_format_1(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migration, "_TO_FORMAT_2", (*migration._TO_FORMAT_2, "no SQL"))
        with pytest.raises(sqlite3.OperationalError):
            migration.upgrade(first)
    assert (version(first), read_manifest(first).format) == (0, 1)
    with Index.open(first) as index:
        assert_as_recorded(index, first.name)
    assert (version(first), read_manifest(first).format) == (FORMAT, FORMAT)


def test_a_crash_before_the_manifest_is_made_good(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migration, "write_manifest", crash)
        with pytest.raises(KeyboardInterrupt):
            migration.upgrade(first)
    assert (version(first), read_manifest(first).format) == (FORMAT, 1)
    with Index.open(first) as index:
        assert_as_recorded(index, first.name)
        assert damage(index) == []
    assert read_manifest(first).format == FORMAT


def test_killed_while_upgrading_at_any_moment(first: Path) -> None:
    """SIGKILL by the process itself, before each of its SQL statements in turn."""
    code = (
        "import os, signal, sys, sqlite3\n"
        "from pathlib import Path\n"
        "from indexer import migration\n"
        "left = int(sys.argv[2])\n"
        "def kill(statement):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if not left: os.kill(os.getpid(), signal.SIGKILL)\n"
        "upgrade = migration.Store.upgrade\n"
        "def watched(store, *rest):\n"
        "    store._db.set_trace_callback(kill)\n"
        "    upgrade(store, *rest)\n"
        "migration.Store.upgrade = watched\n"
        "migration.upgrade(Path(sys.argv[1]))\n"
    )
    codes = [
        subprocess.run(
            [sys.executable, "-c", code, str(first), str(turn)], cwd=ROOT, check=False
        ).returncode
        for turn in (1, 4, 6, 11)
    ]
    assert codes[0] == -9
    assert codes.count(-9) >= 3
    with Index.open(first) as index:
        assert_as_recorded(index, first.name)
        assert damage(index) == []
    assert (version(first), read_manifest(first).format) == (FORMAT, FORMAT)


def test_processes_that_upgrade_at_once(first: Path, cloze: Cloze) -> None:
    with ThreadPoolExecutor(max_workers=3) as pool:
        runs = [pool.submit(cloze, "info", first, "--json") for _ in range(3)]
        done = [run.result() for run in runs]
    for each in done:
        assert each.returncode == 0, each.stderr
        assert json.loads(each.stdout)["manifest"]["format"] == FORMAT
    with Index.open(first) as index:
        assert_as_recorded(index, first.name)


def test_one_that_lost_its_store_before_it_had_one_is_empty(tmp_path: Path) -> None:
    folder = unpacked("format-1-lexical", tmp_path)
    for path in [*folder.glob("store.sqlite*"), *folder.glob("lexical/*/*")]:
        path.unlink()
    (folder / "lexical" / "000001").rmdir()
    with Index.open(folder) as index:
        assert index.store.counts()["documents"] == 0
    assert version(folder) == FORMAT


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written_names_the_command(
    first: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As root every folder may be written, so the system's answer is made up."""
    real = os.open

    def refused(path: Any, flags: int, *rest: Any) -> int:  # noqa: ANN401
        if Path(path).name == "lock":
            raise OSError(code, os.strerror(code), str(path))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(ClozeError, match=f"has format 1, .*run once: cloze info {first}") as found:
        Index.open(first)
    assert os.strerror(code) in str(found.value)
    assert read_manifest(first).format == 1


def test_a_newer_format_is_one_line(first: Path, cloze: Cloze) -> None:
    path = first / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"format": FORMAT + 1}))
    for command in (["info", first], ["backup", first, first.parent / "x.tar"]):
        done = cloze(*command)
        assert done.returncode == 2
        assert done.stderr == (
            f"cloze: {first} has format {FORMAT + 1}, this cloze reads up to {FORMAT}; upgrade "
            "cloze-search\n"
        )
    assert version(first) == 0


def test_postings_of_format_1_are_not_made_anew(first: Path) -> None:
    """Else opening a million documents would take minutes."""
    before = {path: path.read_bytes() for path in first.glob("lexical/*/*")}
    with Index.open(first) as index:
        assert_as_recorded(index, first.name)
    assert {path: path.read_bytes() for path in before} == before
    assert len(before) > 8


def test_sketches_that_format_1_lacks_can_be_made(tmp_path: Path) -> None:
    folder = unpacked("format-1-lexical", tmp_path)
    with Index.open(folder) as index:
        numbers = index.store.numbers(index.sequence).tolist()
        assert set(index.store.sketches(numbers).values()) == {None}
        texts = {number: document.text for number, document in index.store.all_live()}
        expected = {number: sketch(text) for number, text in texts.items()}
        made = sum(each is not None for each in expected.values())
        assert migration.fill_sketches(index.store) == made > 15
        assert index.store.sketches(numbers) == expected
        assert migration.fill_sketches(index.store) == 0
        assert damage(index) == []
