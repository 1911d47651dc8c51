"""Folders that appear whole: built beside, moved into their place, the older one never lost."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from indexer.errors import ClozeError
from indexer.generations import sync

_Check: TypeAlias = Callable[[Path], None]


def replace_folder(folder: Path, write: Callable[[Path], None], check: _Check) -> None:
    """Let `write` fill a new folder beside this one, then give it this one's place.

    `check` raises ClozeError for what may not be replaced; it hears of `folder` before any work,
    even where nothing is there, and of what was there once it is moved aside, where nobody adds
    to it by its path. An older folder is deleted last: whatever fails, it is in its place with all
    that it held, and nothing of the new one is. A link to a folder stays a link.

    Raises:
        ClozeError: `check` refuses the folder, or the older one can't be brought back; the line
            says where it is then.
        OSError: the new folder can't be written or moved.
    """
    check(folder)
    place = Path(os.path.realpath(folder))
    made = [parent for parent in place.parents if not parent.exists()]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _build(place, write, lambda old: _check_moved(check, old, folder))
    except BaseException:
        _remove_empty(made)
        raise


def _build(place: Path, write: Callable[[Path], None], check: _Check) -> None:
    beside = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    new, old = beside / "new", beside / "old"
    try:
        new.mkdir()
        write(new)
        _sync_all(new)
        _swap(new, place, old, check)
    finally:
        if _is_swapped(new, place):
            shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(new, ignore_errors=True)
        # An older one that couldn't be brought back is still in there.
        _remove_empty([beside])


def _swap(new: Path, place: Path, old: Path, check: _Check) -> None:
    try:
        if os.path.lexists(place):
            os.rename(place, old)
            check(old)
        os.rename(new, place)
    except BaseException as error:
        # An interrupt may come right after the rename that it seems to have stopped.
        if os.path.lexists(old) and not _is_swapped(new, place):
            _bring_back(old, place, error)
        raise
    with suppress(OSError):  # not every file system can; the names are right all the same
        sync(place.parent)


def _is_swapped(new: Path, place: Path) -> bool:
    return os.path.lexists(place) and not os.path.lexists(new)


def _bring_back(old: Path, place: Path, error: BaseException) -> None:
    try:
        os.rename(old, place)
    except OSError as second:
        raise ClozeError(
            f"{place}: could not be replaced ({error}), and what was there could not be brought "
            f"back ({second.strerror}); it is whole in {old}, move it to its place"
        ) from error


def _check_moved(check: _Check, old: Path, folder: Path) -> None:
    """Check what was moved aside; an error names the place that the user knows."""
    try:
        check(old)
    except ClozeError as error:
        raise ClozeError(str(error).replace(str(old), str(folder))) from None


def _sync_all(folder: Path) -> None:
    """Put all of a folder on disk, before an older one is deleted for it."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # not made yet, or someone put something there
            folder.rmdir()
