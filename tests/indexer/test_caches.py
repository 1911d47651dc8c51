"""Checksums of files, remembered until a file changes."""

import hashlib
import os
from pathlib import Path

import pytest

from indexer import caches
from indexer.caches import cache_home, file_sum


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOZE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(caches, "_SETTLED_SECONDS", -1.0)
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    return path


def expected(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_sum_is_remembered_until_the_file_changes(file: Path) -> None:
    first = file_sum(file)
    assert first == expected(file)
    (known,) = (cache_home() / "sums").iterdir()
    known.write_text("0" * 64)
    assert file_sum(file) == "0" * 64  # not read again
    file.write_bytes(b"two")
    assert file_sum(file) == expected(file) != first
    status = file.stat()
    file.write_bytes(b"six")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # with its older time put back
    assert file_sum(file) == expected(file)


@pytest.mark.parametrize("content", ["", "abc", "a b"])
def test_a_torn_memory_is_not_believed(file: Path, content: str) -> None:
    file_sum(file)
    (known,) = (cache_home() / "sums").iterdir()
    known.write_text(content)
    assert file_sum(file) == expected(file)


def test_a_file_that_has_just_changed_is_not_remembered(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "_SETTLED_SECONDS", 3600.0)
    assert file_sum(file) == expected(file)
    assert not (cache_home() / "sums").exists()


def test_a_cache_that_can_not_be_written_is_done_without(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOZE_HOME", str(file))  # a file, so no folder can be in it
    assert file_sum(file) == expected(file)
