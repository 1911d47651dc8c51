"""What every kind of collection comes to: queries, judgements, and perhaps documents."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Protocol

from eval.judgements import Qrels
from indexer.corpus import Corpus
from indexer.corpus.inputs import resolve
from indexer.documents import Document
from indexer.errors import ClozeError
from search.runs import UniqueColumns


class Documents(Protocol):
    """A stream of documents that tells how far it has come."""

    def __iter__(self) -> Iterator[Document]:
        """Stream the documents, holding one in memory at a time."""
        ...

    def position(self) -> float | None:
        """Return the share that has been read, from 0 to 1; None if it is unknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a collection's documents come from: `read` streams them anew, `seal` hashes them."""

    read: Callable[[], Documents]
    seal: Callable[[], str]


# Not slots: the two fingerprints are kept once they have been computed.
@dataclass(frozen=True, kw_only=True)
class Collection:
    """One split of a collection: its queries, judgements and documents.

    `queries` are those that the split judges, in their file's order; one without a text has "".
    Their ids, and both ids of `qrels`, are as a run file has them (`search.runs.column`); the
    documents' own are not. `unjudged` counts the other queries of the file. Without a `source` the
    collection needs an index of its documents.
    """

    name: str
    split: str
    queries: Mapping[str, str]
    qrels: Qrels
    unjudged: int
    source: Source | None
    notices: tuple[str, ...]

    @property
    def corpus(self) -> Callable[[], Documents] | None:
        """What streams the documents, anew at each call; None where there are none."""
        return None if self.source is None else self.source.read

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256, in hexadecimal, of the queries and judgements whatever their order."""
        judged = {query: sorted(grades.items()) for query, grades in self.qrels.items()}
        content = json.dumps([sorted(self.queries.items()), sorted(judged.items())])
        return hashlib.sha256(content.encode()).hexdigest()

    @cached_property
    def corpus_fingerprint(self) -> str | None:
        """The SHA-256, in hexadecimal, of the documents; reads all files of the corpus once."""
        return None if self.source is None else self.source.seal()


def assemble(
    *,
    name: str,
    split: str,
    queries: Iterable[tuple[str, str]],
    qrels: Qrels,
    source: Source | None,
) -> Collection:
    """Bring the texts of a collection's queries and the judgements of one split together.

    Raises:
        ClozeError: the split judges nothing, none of its queries has a text, an id comes twice, or
            two are one once they are encoded.
    """
    if not qrels:
        raise ClozeError(f"{name}: the split {split} has no judgements; name another, or add some")
    texts = _texts(name, queries)
    judged = {query: text for query, text in texts.items() if query in qrels}
    return Collection(
        name=name,
        split=split,
        queries={**judged, **{query: "" for query in qrels if query not in texts}},
        qrels=qrels,
        unjudged=len(texts) - len(judged),
        source=source,
        notices=tuple(_without_text(f"{name}/{split}", qrels, texts)),
    )


def _texts(name: str, queries: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map each query's id, as a run file has it, to its text."""
    texts: dict[str, str] = {}
    ids = UniqueColumns()
    for query, text in queries:
        encoded = ids.column(query, f"{name}, queries")
        if encoded in texts:
            raise ClozeError(f"{name}: the query id {query!r} comes twice; keep one of the two")
        texts[encoded] = text
    return texts


def _without_text(where: str, qrels: Qrels, texts: Mapping[str, str]) -> Iterator[str]:
    """Yield a notice of the judged queries without a text; raise ClozeError if none has one."""
    without = [query for query in qrels if not texts.get(query, "").strip()]
    if len(without) == len(qrels):
        known = next((query for query, text in texts.items() if text.strip()), None)
        other = "no query has one" if known is None else f"the query {known!r} has one"
        raise ClozeError(
            f"{where}: no judged query has a text; {without[0]!r} is judged, and {other}; "
            "the ids of queries and judgements must be the same"
        )
    if without:
        shown = ", ".join(map(repr, without[:3])) + (", …" if len(without) > 3 else "")
        yield f"{len(without):,} judged queries of {where} have no text: {shown}"


def choose_split(name: str, splits: Sequence[str], split: str | None) -> str:
    """Return the split asked for; without one "test" where it is there, else the only one.

    Raises:
        ClozeError: there is no such split, or there are several to choose from; they are listed.
    """
    listed = ", ".join(splits)
    if split is None:
        if "test" in splits:
            return "test"
        if len(splits) == 1:
            return splits[0]
        raise ClozeError(f"{name} has the splits {listed}; choose one with --split")
    if split not in splits:
        nearest = get_close_matches(split, splits, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise ClozeError(f"{name} has no split {split!r}, but {listed}{hint}")
    return split


def files_source(name: str) -> Source:
    """Return the documents of a file or folder that `cloze index` reads, sealed by their bytes."""
    return Source(
        read=lambda: Corpus([name]),
        seal=lambda: hash_files(
            (entry.relative, Path(entry.path)) for entry in resolve(name).entries()
        ),
    )


def hash_files(files: Iterable[tuple[str, Path]]) -> str:
    """Return the SHA-256 over the names and bytes of files, in the order given."""
    whole = hashlib.sha256()
    for name, path in files:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(json.dumps([name, digest]).encode())
    return whole.hexdigest()


def split_files(files: Iterable[Path], split_of: Callable[[str], str]) -> dict[str, Path]:
    """Map each split to the one file that holds it, sorted; `split_of` reads it off a file's name.

    Raises:
        ClozeError: two files hold one split.
    """
    found: dict[str, Path] = {}
    for path in sorted(files):
        split = split_of(path.name)
        if split in found:
            raise ClozeError(
                f"{found[split]} and {path} both hold the split {split!r}; keep one of the two"
            )
        found[split] = path
    return found
