"""From what the user names to the files to read: a folder, a file, "-", "docstrings" or SGML."""

import functools
import os
import re
from collections.abc import Iterator

from indexer.corpus import sgml
from indexer.corpus.docstrings import docstring_input
from indexer.corpus.entries import Entry, Input, walk
from indexer.corpus.formats import FOLDER_SUFFIXES, READERS, suffix_of
from indexer.corpus.jsonl import read_json_lines
from indexer.corpus.lines import STDIN, printable
from indexer.errors import ClozeError

_TOPICS = re.compile("topics")
_QRELS = re.compile(r"qrels|.*\.qrels(\.gz)?$")
_CORPUS = re.compile("corpus|documents")
_BEIR = ("corpus.jsonl", "corpus.jsonl.gz")


def resolve(name: str) -> Input:
    """Find what one input means; raise ClozeError naming what was expected if it means nothing."""
    if name == STDIN:
        entry = Entry(path=STDIN, relative=STDIN, size=None, read=read_json_lines)
        return Input(size=None, entries=lambda: iter([entry]))
    scheme, colon, packages = name.partition(":")
    if scheme == "docstrings":
        return docstring_input(packages.split(",") if colon else None)
    if scheme == "sgml" and colon:
        return _sgml(packages)
    if os.path.isdir(name):
        return _folder(name)
    if not os.path.exists(name):
        raise ClozeError(
            f"{printable(name)}: no such file or folder; check the path, or give - for standard "
            "input or docstrings for those of the installed packages"
        )
    return _file(name)


def _sgml(path: str) -> Input:
    """Return TREC's documents of a file, or of all files below a folder."""
    if not os.path.exists(path):
        raise ClozeError(f"sgml:{printable(path)}: no such file or folder; check the path")
    sizes = [entry.size for entry in sgml.entries(path)]
    known = None if None in sizes else sum(size or 0 for size in sizes)
    return Input(size=known, entries=functools.partial(sgml.entries, path))


def _trec_corpus(folder: str) -> str | None:
    """Return the documents of a folder laid out as TREC does, which also has topics and qrels."""
    names = sorted(os.listdir(folder))
    if not any(map(_TOPICS.match, names)) or not any(map(_QRELS.match, names)):
        return None
    corpus = next(filter(_CORPUS.match, names), None)
    return None if corpus is None else os.path.join(folder, corpus)


def trec_documents(path: str) -> str:
    """Return the input that reads a TREC collection's file or folder of documents."""
    return f"sgml:{path}" if sgml.holds_documents(path) else path


def _file(path: str) -> Input:
    suffix = suffix_of(path)
    if suffix not in READERS:
        raise ClozeError(
            f"{printable(path)}: suffix {printable(suffix)!r} is not one of {', '.join(READERS)} "
            "(each may end in .gz); rename or convert the file, or give TREC's documents as "
            "sgml:FILE"
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
    if corpus := _trec_corpus(folder):
        return resolve(trec_documents(corpus))
    # Walked twice, for the size and for the files, so that no list of them is ever held.
    sizes = (entry.size or 0 for entry in _texts(folder))
    first = next(sizes, None)
    if first is None:
        raise ClozeError(
            f"{printable(folder)}: the folder holds neither corpus.jsonl nor any "
            f"{' or '.join(FOLDER_SUFFIXES)} file (each may end in .gz); "
            "name a file of another kind itself, or TREC's documents as sgml:FOLDER"
        )
    return Input(size=first + sum(sizes), entries=functools.partial(_texts, folder))


def _texts(folder: str) -> Iterator[Entry]:
    for file in walk(folder, keep=lambda name: suffix_of(name) in FOLDER_SUFFIXES):
        read = READERS[suffix_of(file.relative)]
        yield Entry(path=file.path, relative=file.relative, size=file.size, read=read)
