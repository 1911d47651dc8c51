"""TREC's layout: topics, qrels, and perhaps documents, in one folder."""

import re
from collections.abc import Iterator
from pathlib import Path

from eval.collections.collection import (
    Collection,
    Source,
    assemble,
    choose_split,
    files_source,
    hash_files,
    split_files,
)
from eval.collections.sgml import SgmlDocuments, document_files, holds_documents, read_topics
from eval.judgements import read_qrels

_ENDINGS = re.compile(r"(\.(txt|tsv|qrels?|topics?|trec|sgml?|xml))+$", re.IGNORECASE)


def is_trec(folder: Path) -> bool:
    """Tell whether there is a file of topics and one of judgements."""
    return bool(_topics(folder)) and bool(_qrels(folder))


def open_trec(folder: Path, split: str | None) -> Collection:
    """Open `topics*`, `qrels*` or `*.qrels`, and perhaps `corpus*` or `documents*`, plain or `.gz`.

    Topics are `<top>` with `<num>` and `<title>`, closed or not, or an id, a tab and the text a
    line; a topic's text is its title. What follows `qrels` in a file's name, or precedes
    `.qrels`, is the split; a bare `qrels` is the split test. Of several files of topics that named
    like the split is read, else all. The corpus is a file or folder that `cloze index` reads, or
    `<DOC>` with `<DOCNO>` and `<TEXT>`.

    Raises:
        ClozeError: there is no such split, or a file is not as it should be; file and line are
            named.
    """
    name = folder.resolve().name
    qrels = split_files(_qrels(folder), lambda file: _split(file, "qrels"))
    chosen = choose_split(f"{folder}", list(qrels), split)
    return assemble(
        name=name,
        split=chosen,
        queries=_queries(folder, chosen),
        qrels=read_qrels(qrels[chosen]),
        source=_source(folder),
    )


def _queries(folder: Path, split: str) -> Iterator[tuple[str, str]]:
    topics = _topics(folder)
    own = [path for path in topics if _split(path.name, "topics") == split]
    for path in own or topics:
        yield from read_topics(path)


def _source(folder: Path) -> Source | None:
    paths = [path for kind in ("corpus*", "documents*") for path in sorted(folder.glob(kind))]
    if not paths:
        return None
    if not holds_documents(paths[0]):
        return files_source(paths[0])
    files = list(document_files(paths[0]))
    return Source(
        read=lambda: SgmlDocuments(files),
        seal=lambda: hash_files((file.name, file) for file in files),
    )


def _topics(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("topics*") if path.is_file())


def _qrels(folder: Path) -> list[Path]:
    found = {*folder.glob("qrels*"), *folder.glob("*.qrels"), *folder.glob("*.qrels.gz")}
    return sorted(path for path in found if path.is_file())


def _split(name: str, kind: str) -> str:
    bare = _ENDINGS.sub("", name.removesuffix(".gz"))
    return bare.removeprefix(kind).strip("._-") or "test"
