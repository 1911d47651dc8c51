"""Derived structures on disk, replaced whole: numbered folders or files, the highest one counts."""

import os
import shutil
from pathlib import Path


def current(home: Path) -> Path | None:
    """Return the entry with the highest number, if there is any."""
    return max(_numbered(home), default=(0, None))[1]


def publish(scratch: Path, home: Path) -> Path:
    """Move a finished folder or file in as the next generation, and return its place."""
    latest = max(_numbered(home), default=(0, None))[0]
    place = home / f"{latest + 1:06d}"
    scratch.chmod(0o755)  # a temporary folder is its maker's alone
    _sync_tree(scratch)
    os.rename(scratch, place)
    sync(home)
    return place


def prune(home: Path) -> None:
    """Remove all but the current generation; readers keep what they have open."""
    kept = current(home)
    for entry in home.iterdir():
        if entry != kept:
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


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
