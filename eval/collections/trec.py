"""TREC's layout: topics, qrels, and perhaps documents, in one folder."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from eval.collections.collection import (
    Collection,
    Source,
    assemble,
    choose_split,
    files_source,
    split_files,
)
from eval.collections.topics import read_topics
from eval.judgements import Qrels, read_qrels
from indexer.corpus.inputs import trec_documents
from indexer.errors import ClozeError
from search.runs import column

_ENDINGS = re.compile(r"(\.(txt|tsv|qrels?|topics?|trec|sgml?|xml))+$", re.IGNORECASE)


def is_trec(folder: Path) -> bool:
    """Tell whether there is a file of topics and one of judgements."""
    return bool(_topics(folder)) and bool(_qrels(folder))


def open_trec(folder: Path, split: str | None) -> Collection:
    """Open `topics*`, `qrels*` or `*.qrels`, and perhaps `corpus*` or `documents*`, plain or `.gz`.

    Topics are `<top>` with `<num>` and `<title>`, closed or not, XML's `<topic number="…">`, or an
    id, a tab and the text a line; a topic's text is its title, or in XML its query. Numbers of
    topics and judgements may differ in the zeros that they begin with. What follows `qrels` in a
    file's name, or precedes `.qrels`, is the split; a bare `qrels` is the split test. Of several
    files of topics that named like the split is read, else all. The corpus is a file or folder
    that `cloze index` reads, or `<DOC>` with `<DOCNO>` and `<TEXT>`.

    Raises:
        ClozeError: there is no such split, or a file is not as it should be; file and line are
            named.
    """
    name = folder.resolve().name
    qrels = split_files(_qrels(folder), lambda file: _split(file, "qrels"))
    chosen = choose_split(f"{folder}", list(qrels), split)
    judgements = read_qrels(qrels[chosen])
    return assemble(
        name=name,
        split=chosen,
        queries=_as_judged(_queries(folder, chosen), judgements),
        qrels=judgements,
        source=_source(folder),
    )


def _queries(folder: Path, split: str) -> dict[str, str]:
    topics = _topics(folder)
    own = [path for path in topics if _split(path.name, "topics") == split]
    texts: dict[str, str] = {}
    files: dict[str, Path] = {}
    for path in own or topics:
        for query, text in read_topics(path):
            if query in texts:
                raise ClozeError(
                    f"{path}: the topic {query!r} is in {files[query]} too; keep one of the two"
                )
            texts[query] = text
            files[query] = path
    return texts


def _as_judged(queries: Mapping[str, str], qrels: Qrels) -> Iterator[tuple[str, str]]:
    """Yield queries under the ids that judge them: topics have 051 where the judgements have 51.

    Only a number that is not judged as it is written changes, to the only judged one that equals
    it and is no topic itself.
    """
    named = {column(query) for query in queries}
    equal: dict[str, list[str]] = {}
    for query in qrels:
        if query not in named:
            equal.setdefault(_number(query), []).append(query)
    for query, text in queries.items():
        others = [] if column(query) in qrels else equal.get(_number(query), [])
        yield others[0] if len(others) == 1 else query, text


def _number(query: str) -> str:
    """Return a number without the zeros that it begins with, and every other id as it is."""
    if query.isascii() and query.isdigit():
        return query.lstrip("0") or "0"
    return query


def _source(folder: Path) -> Source | None:
    paths = [path for kind in ("corpus*", "documents*") for path in sorted(folder.glob(kind))]
    if not paths:
        return None
    return files_source(trec_documents(str(paths[0])))


def _topics(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("topics*") if path.is_file())


def _qrels(folder: Path) -> list[Path]:
    found = {*folder.glob("qrels*"), *folder.glob("*.qrels"), *folder.glob("*.qrels.gz")}
    return sorted(path for path in found if path.is_file())


def _split(name: str, kind: str) -> str:
    bare = _ENDINGS.sub("", name.removesuffix(".gz"))
    return bare.removeprefix(kind).strip("._-") or "test"
