"""From what the user names to the files to read: a folder, a file, a pattern, "-", a scheme."""

import functools
import glob
import os
import re
from collections.abc import Iterator

from indexer.corpus import sgml
from indexer.corpus.docstrings import docstring_input
from indexer.corpus.entries import Entry, Input, walk
from indexer.corpus.formats import FOLDER_SUFFIXES, READERS, WIKI, is_in_folder, suffix_of
from indexer.corpus.isolated import check_readable
from indexer.corpus.jsonl import read_json_lines
from indexer.corpus.lines import STDIN, printable
from indexer.corpus.msmarco import read_msmarco
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
    scheme, colon, rest = name.partition(":")
    if scheme == "docstrings":
        return docstring_input(rest.split(",") if colon else None)
    if scheme == "sgml" and colon:
        return _sgml(rest)
    if scheme == "msmarco" and colon:
        return _msmarco(rest)
    if os.path.isdir(name):
        return _folder(name)
    if not os.path.lexists(name) and glob.has_magic(name):
        return _pattern(name)
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


def _msmarco(path: str) -> Input:
    if not os.path.isfile(path):
        raise ClozeError(
            f"msmarco:{printable(path)}: no such file; name collection.tsv or msmarco-docs.tsv"
        )
    size = os.path.getsize(path)
    entry = Entry(path=path, relative=os.path.basename(path), size=size, read=read_msmarco)
    return Input(size=size, entries=lambda: iter([entry]))


def _pattern(pattern: str) -> Input:
    """Return the files, never the folders, that a pattern such as "data/**/*.jsonl" matches.

    They are sorted by path; each is named by its path below the folder before the first sign of
    the pattern, as it would be where the user names that folder.
    """
    found = glob.iglob(pattern, recursive=True)
    paths = sorted(set(filter(os.path.isfile, found)))
    if not paths:
        raise ClozeError(
            f"{printable(pattern)}: the pattern matches no file; check it (** stands for any "
            "number of folders), and quote it so that the shell passes it on"
        )
    top = _fixed_part(pattern)
    entries = [_entry(path, os.path.relpath(path, top).replace(os.sep, "/")) for path in paths]
    size = sum(entry.size or 0 for entry in entries)
    return Input(size=size, entries=lambda: iter(entries))


def _fixed_part(pattern: str) -> str:
    """Return the folder that a pattern's files are all below."""
    folder = pattern
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder or os.curdir


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
    entry = _entry(path, os.path.basename(path))
    return Input(size=entry.size, entries=lambda: iter([entry]))


def _entry(path: str, relative: str) -> Entry:
    suffix = suffix_of(path)
    if suffix not in READERS:
        raise ClozeError(
            f"{printable(path)}: suffix {printable(suffix)!r} is not one of {', '.join(READERS)} "
            "(each may end in .gz); rename or convert the file, or give TREC's documents as "
            "sgml:FILE"
        )
    check_readable(printable(path), suffix)
    size = os.path.getsize(path) if os.path.isfile(path) else None
    return Entry(path=path, relative=relative, size=size, read=READERS[suffix])


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
            f"{', '.join(FOLDER_SUFFIXES)} or {WIKI} file (each may end in .gz); "
            "name a file of another kind itself, or TREC's documents as sgml:FOLDER"
        )
    return Input(size=first + sum(sizes), entries=functools.partial(_texts, folder))


def _texts(folder: str) -> Iterator[Entry]:
    for file in walk(folder, keep=is_in_folder):
        suffix = suffix_of(file.relative)
        check_readable(printable(file.path), suffix)
        read = READERS[suffix]
        yield Entry(path=file.path, relative=file.relative, size=file.size, read=read)
