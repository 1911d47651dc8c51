"""Derived structures on disk, replaced whole: numbered folders or files, the highest one counts."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_SCRATCH = "new-"


def current(home: Path) -> Path | None:
    """Return the entry with the highest number, if there is any."""
    return max(_numbered(home), default=(0, None))[1]


def publish(scratch: Path, home: Path) -> Path:
    """Move a finished folder or file in as the next generation, and return its place."""
    latest = max(_numbered(home), default=(0, None))[0]
    place = home / f"{latest + 1:06d}"
    scratch.chmod(stat.S_IMODE(home.stat().st_mode))  # a temporary folder is its maker's alone
    share(scratch)
    _sync_tree(scratch)
    os.rename(scratch, place)
    sync(home)
    return place


def share(generation: Path) -> None:
    """Let those read and write a folder's files who may its home, as far as this user can grant it.

    tantivy makes some of them for its user alone, whatever the umask.
    """
    mode = stat.S_IMODE(generation.parent.stat().st_mode) & 0o666
    for entry in generation.iterdir():
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if stat.S_IMODE(entry.stat().st_mode) != mode:
                entry.chmod(mode)


@contextlib.contextmanager
def scratch(home: Path) -> Iterator[Path]:
    """Make a folder to build the next generation in; at the end it is gone, if not published.

    Its lock tells that its maker lives; the kernel frees it when the process dies.
    """
    while True:
        made = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=home))
        with _locked(made, wait=True) as mine:
            if mine and made.exists():  # else it was pruned before it was locked
                try:
                    yield made
                finally:
                    shutil.rmtree(made, ignore_errors=True)
                return


def prune(home: Path, kept: Path | None = None) -> None:
    """Remove all but one entry, the current generation, and what living processes build.

    Readers keep what they have open.
    """
    kept = kept or current(home)
    for entry in home.iterdir():
        if entry.name.startswith(_SCRATCH):
            with _locked(entry, wait=False) as dead:
                if dead:
                    shutil.rmtree(entry, ignore_errors=True)
        elif entry != kept:
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Tell whether this process has the lock of a folder, and free it at the end."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def _numbered(home: Path) -> list[tuple[int, Path]]:
    if not home.is_dir():
        return []
    return [(int(entry.name), entry) for entry in home.iterdir() if entry.name.isdigit()]


def _sync_tree(path: Path) -> None:
    for entry in path.rglob("*") if path.is_dir() else ():
        if entry.is_file():
            sync(entry)
    sync(path)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
