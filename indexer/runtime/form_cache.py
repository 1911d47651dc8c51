"""Folders that are made once and kept: by one process at a time, and whole or not at all."""

import atexit
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

_SUMS = "sha256.json"
_SCRATCH = ".new"
_LOCK = ".lock"
_LOG = logging.getLogger(__name__)


def cached(
    home: Path, name: str, make: Callable[[Path], None], outdated: Callable[[str], bool]
) -> Path:
    """Return a name's folder, filled by `make` where it is absent or damaged.

    Others that want the same name wait for the one that makes it. When it is made, the names that
    are `outdated` go, and what processes that died left half made. Where `home` can't be written,
    a temporary folder of this process stands in for it.
    """
    if _intact(home / name):
        return home / name
    if not _writable(home):
        home = _temporary(home)
    with _locked(home / f"{name}{_LOCK}", wait=True):
        if not _intact(home / name):
            _fill(home / name, make)
            _sweep(home, outdated)
    return home / name


def _intact(folder: Path) -> bool:
    try:
        sums = json.loads((folder / _SUMS).read_bytes())
        return bool(sums) and all(_sha256(folder / name) == value for name, value in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _writable(home: Path) -> bool:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(home, os.W_OK | os.X_OK)


@cache
def _temporary(home: Path) -> Path:
    """Make this process's stand-in for a home that can't be written; it goes when the process does.

    Remembered, so that it is made, and told of, once.
    """
    made = Path(tempfile.mkdtemp(prefix="cloze-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    _LOG.warning(
        "%s can't be written, so models are converted anew in every process; name a folder that "
        "can be in CLOZE_HOME",
        home,
    )
    return made


def _fill(folder: Path, make: Callable[[Path], None]) -> None:
    """Make a folder beside its place and move it there whole; the caller has the name's lock."""
    place = folder.with_name(f"{folder.name}{_SCRATCH}")
    shutil.rmtree(place, ignore_errors=True)
    try:
        scratch = place / "new"
        scratch.mkdir(parents=True)
        make(scratch)
        sums = {path.name: _sha256(path) for path in scratch.iterdir()}
        (scratch / _SUMS).write_text(json.dumps(sums))
        with contextlib.suppress(FileNotFoundError):
            folder.rename(place / "old")
        scratch.rename(folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _sweep(home: Path, outdated: Callable[[str], bool]) -> None:
    """Remove outdated names and what dead processes left; a name that is being made has a lock."""
    for entry in list(home.iterdir()):
        name = entry.name.removesuffix(_SCRATCH).removesuffix(_LOCK)
        if name != entry.name or outdated(name):
            with _locked(home / f"{name}{_LOCK}", wait=False) as mine:
                if mine:
                    shutil.rmtree(entry, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Tell whether this thread has a lock, which the kernel frees when the process dies.

    Whoever had it removes its file, so whoever waited on a file that is gone starts again.
    """
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            if _is_at(descriptor, path):
                try:
                    yield True
                finally:
                    path.unlink(missing_ok=True)
                return
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
