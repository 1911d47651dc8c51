"""What an input of the user's comes to: files in a fixed order, each with the reader it needs."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from indexer.corpus.fields import BadRecord, Fields, Record
from indexer.corpus.lines import Source, unreadable

# The line a document begins on, and the document or what is wrong with it. A reader yields the
# wrong ones rather than raising, since a generator that raised cannot go on to the next line.
Row = tuple[int, Record | BadRecord]
Reader = Callable[[Source, Fields], Iterator[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file below a folder: its path, the same relative to the folder with "/", its bytes."""

    path: str
    relative: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file to read, and how; `size` is in bytes, None where it cannot be known."""

    path: str
    relative: str
    size: int | None
    read: Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input: its size in bytes (None: unknown), and its files, found anew by each call."""

    size: int | None
    entries: Callable[[], Iterator[Entry]]


def walk(
    folder: str, *, keep: Callable[[str], bool], enter: Callable[[str], bool] = lambda name: True
) -> Iterator[File]:
    """Yield the files below a folder, sorted by relative path, holding one folder's list at a time.

    `keep` and `enter` see the bare name of a file and of a folder. Links to folders are not
    followed, so a loop of links ends.
    """
    return _walk(folder, "", keep, enter)


def _walk(
    folder: str, prefix: str, keep: Callable[[str], bool], enter: Callable[[str], bool]
) -> Iterator[File]:
    try:
        for name, entry in _listing(folder):
            if entry.is_dir(follow_symlinks=False):
                if enter(entry.name):
                    yield from _walk(entry.path, prefix + name, keep, enter)
            elif keep(entry.name) and entry.is_file():
                size = entry.stat().st_size
                yield File(path=entry.path, relative=prefix + name, size=size)
    except OSError as error:
        raise unreadable(folder, error) from None


def _listing(folder: str) -> list[tuple[str, os.DirEntry[str]]]:
    # "/" after a folder's name sorts it where the paths below it belong: "a.txt" before "a/b.txt".
    with os.scandir(folder) as entries:
        named = [
            (entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in entries
        ]
    return sorted(named, key=lambda pair: pair[0])
