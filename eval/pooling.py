"""What a person is to judge: pools of documents, and the passage that shows each best."""

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from indexer.errors import ClozeError
from search.highlight import Span, highlight
from search.hits import Mode
from search.index import Index

SYSTEMS: tuple[Mode, ...] = ("lexical", "dense", "hybrid")
_EXTRACT_WIDTH = 700  # code points; a passage of the default rule fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A query and the documents to judge for it, in the order they are shown; ids as stored."""

    query: str
    text: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """A document to be shown: text[start:end] first; highlights are places in the text."""

    title: str
    text: str
    start: int
    end: int
    highlights: tuple[Span, ...]


def choose_systems(index: Index, names: Sequence[str] | None) -> tuple[Mode, ...]:
    """Return the systems that are named, else all that the index can answer with.

    Raises:
        ClozeError: a name is not one of `SYSTEMS`, or asks for vectors that the index lacks.
    """
    lexical_only = index.manifest.encoder is None
    if names is None:
        return SYSTEMS[:1] if lexical_only else SYSTEMS
    known: dict[str, Mode] = {system: system for system in SYSTEMS}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, SYSTEMS, 1, 0)[0]
            raise ClozeError(
                f"--systems has {name!r}, not {near!r}? choose from {', '.join(SYSTEMS)}"
            )
        if lexical_only and name != "lexical":
            raise ClozeError(
                f"{index.folder} was built with --lexical-only, asked for --systems {name}; use "
                "--systems lexical"
            )
    return tuple(known[name] for name in dict.fromkeys(names))


def pool_documents(
    index: Index,
    query: tuple[str, str],
    systems: Sequence[Mode],
    *,
    depth: int,
    seed: int,
) -> Pool:
    """Pool the first `depth` documents of every system, in an order that hides who found them.

    The order is that of a hash of seed, query and document: random, the same on every run, and a
    deeper pool leaves the documents of a shallower one in their order. Pooling is as in TREC
    (Sparck Jones and van Rijsbergen 1975).
    """
    name, text = query
    found = {
        document for system in systems for document, _ in index.rank(text, top=depth, mode=system)
    }
    order = sorted(found, key=lambda document: _draw(seed, name, document))
    return Pool(query=name, text=text, documents=tuple(order))


def _draw(seed: int, query: str, document: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{query}\0{document}".encode()).digest()


def extract(index: Index, text: str, document: str) -> Extract | None:
    """Find what to show of a document for a query: its best passage, with the query's words.

    The same is shown whichever system found the document. None where the index has it no more.
    """
    with index.reading():
        row = index.store.live([document]).get(document)
        if row is None:
            return None
        stored = index.store.documents([row.number])[row.number]
        window = _best_passage(index, text, row.number) or (0, len(stored.text))
    terms = set(index.analyzer.terms(text))
    near = highlight(
        stored.text, terms, index.analyzer, start=window[0], end=window[1], width=_EXTRACT_WIDTH
    )
    whole = highlight(stored.text, terms, index.analyzer, start=0, end=len(stored.text))
    return Extract(
        title=stored.title,
        text=stored.text,
        start=near.snippet_start,
        end=near.snippet_start + len(near.snippet),
        highlights=tuple(sorted({*near.highlights, *whole.highlights})),
    )


def _best_passage(index: Index, text: str, number: int) -> tuple[int, int] | None:
    """Return the code points of the passage whose vector is nearest to the query's."""
    if index.manifest.encoder is None:
        return None
    passages = index.dense.passages(number, index.encoder.encode_queries([text])[0])
    if not passages:
        return None
    best = passages[0][0]
    return index.store.windows([best])[best]
