"""From what the user names to the files to read: a folder, a file, "-", or "docstrings"."""

import functools
import os
from collections.abc import Iterator

from indexer.corpus.docstrings import docstring_input
from indexer.corpus.entries import Entry, Input, walk
from indexer.corpus.formats import FOLDER_SUFFIXES, READERS, suffix_of
from indexer.corpus.jsonl import read_json_lines
from indexer.corpus.lines import STDIN, printable
from indexer.errors import ClozeError

_BEIR = ("corpus.jsonl", "corpus.jsonl.gz")


def resolve(name: str) -> Input:
    """Find what one input means; raise ClozeError naming what was expected if it means nothing."""
    if name == STDIN:
        entry = Entry(path=STDIN, relative=STDIN, size=None, read=read_json_lines)
        return Input(size=None, entries=lambda: iter([entry]))
    scheme, colon, packages = name.partition(":")
    if scheme == "docstrings":
        return docstring_input(packages.split(",") if colon else None)
    if os.path.isdir(name):
        return _folder(name)
    if not os.path.exists(name):
        raise ClozeError(
            f"{printable(name)}: no such file or folder; check the path, or give - for standard "
            "input or docstrings for those of the installed packages"
        )
    return _file(name)


def _file(path: str) -> Input:
    suffix = suffix_of(path)
    if suffix not in READERS:
        raise ClozeError(
            f"{printable(path)}: suffix {printable(suffix)!r} is not one of {', '.join(READERS)} "
            "(each may end in .gz); rename or convert the file"
        )
    size = os.path.getsize(path) if os.path.isfile(path) else None
    relative = os.path.basename(path)
    entry = Entry(path=path, relative=relative, size=size, read=READERS[suffix])
    return Input(size=size, entries=lambda: iter([entry]))


def _folder(folder: str) -> Input:
    for name in _BEIR:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return _file(path)
    # Walked twice, for the size and for the files, so that no list of them is ever held.
    sizes = (entry.size or 0 for entry in _texts(folder))
    first = next(sizes, None)
    if first is None:
        raise ClozeError(
            f"{printable(folder)}: the folder holds neither corpus.jsonl nor any "
            f"{' or '.join(FOLDER_SUFFIXES)} file (each may end in .gz); "
            "name a file of another kind itself"
        )
    return Input(size=first + sum(sizes), entries=functools.partial(_texts, folder))


def _texts(folder: str) -> Iterator[Entry]:
    for file in walk(folder, keep=lambda name: suffix_of(name) in FOLDER_SUFFIXES):
        read = READERS[suffix_of(file.relative)]
        yield Entry(path=file.path, relative=file.relative, size=file.size, read=read)
