"""Whether an index is what was written, and its derived structures what the store says."""

import sqlite3
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from indexer.documents import Document
from indexer.errors import DamagedIndexError
from indexer.filters import facets
from indexer.filters.facets import Facet
from indexer.index import Index
from indexer.lock import writer_lock
from indexer.preparation import metadata_hash, text_hash
from indexer.records import PASSAGE_BITS

_CHUNK = 500


def damage(index: Index) -> list[str]:
    """Return what is wrong with an index, a line each; nothing when it is clean.

    Checksums of every derived file; every document against its hashes and its facets; ids in
    store, postings and vectors against each other; and every vector in FAISS against the stored
    one, bit by bit.
    """
    with writer_lock(index.folder):  # who writes also removes files
        index.refresh()
        broken = index.lexical.damage()
    with index.reading():
        found = [f"{index.store.path}: {line}" for line in index.store.damage()]
        if found:
            return found  # what follows would read a broken database
        found += broken
        if not broken:  # reading broken postings may end anywhere
            found += _postings(index)
        found += _documents(index)
        found += [f"{index.store.path}: {line}" for line in index.store.stray_facets()]
        if index.manifest.encoder is not None:
            found += _vectors(index)
        if index.manifest.token_vectors is not None:
            found += _token_vectors(index, index.manifest.token_vectors.dimension)
        return index.notices + found


def _documents(index: Index) -> Iterator[str]:
    hashes = index.store.hashes()
    while chunk := list(islice(hashes, _CHUNK)):
        numbers = [number for number, _, _ in chunk]
        documents, known = index.store.documents(numbers), index.store.facets(numbers)
        for number, text, metadata in chunk:
            document = documents.get(number)
            name = number if document is None else repr(document.id)
            fault = _fault(document, text, metadata, known.get(number, set()))
            if fault:
                yield f"{index.store.path}: document {name} {fault}"


def _fault(document: Document | None, text: bytes, metadata: bytes, known: set[Facet]) -> str:
    """Return what is wrong with a document, given its hashes and what filters know of it."""
    if document is None:
        return "has no content"
    if (text_hash(document), metadata_hash(document)) != (text, metadata):
        return "is not what was written"
    if known != set(facets(document.metadata)):
        return "has other metadata than what filters know of it"
    return ""


def _postings(index: Index) -> Iterator[str]:
    stored = index.store.numbers(index.sequence)
    posted = index.lexical.numbers()
    yield from _differences(f"{index.lexical.home}", "documents", stored, posted)


def _vectors(index: Index) -> Iterator[str]:
    if broken := index.dense.damaged_parts():
        yield from broken
        return  # reading on would meet the same
    visible = index.store.numbers(index.sequence)
    rows, vectors = index.dense.rows()
    place = f"{index.dense.home}"
    stored: list[int] = []
    pairs = index.store.vectors(-1)
    while chunk := list(islice(pairs, _CHUNK)):
        numbers = np.array([number for number, _ in chunk], dtype=np.int64)
        kept = _among(numbers >> PASSAGE_BITS, visible)
        blobs = [blob for (_, blob), keep in zip(chunk, kept, strict=True) if keep]
        stored += numbers[kept].tolist()
        found, at = _among(numbers[kept], rows), np.searchsorted(rows, numbers[kept])
        for number, blob, known, row in zip(numbers[kept], blobs, found, at, strict=True):
            if known and vectors[row].tobytes() != blob:
                yield f"{place}: the vector of passage {number} is not the stored one"
    yield from _differences(place, "passages", np.array(stored, dtype=np.int64), rows)


def _token_vectors(index: Index, dimension: int) -> Iterator[str]:
    """Check token vectors, those of the dead too: each passage has its own and nothing else has."""
    path, store = index.store.path, index.store
    kept = store.projection()
    if kept is not None and not kept.intact:
        yield f"{path}: the matrix of the token vectors is not what was written"
    for passage, codes in store.all_token_codes():
        if not codes.intact or len(codes.codes) % dimension:
            yield f"{path}: the token vectors of passage {passage} are not what was written"
    bare, stray = store.unpaired_tokens()
    if bare:
        yield f"{path}: {len(bare)} passages have no token vectors, first {bare[0]}"
    if stray or (kept is None and store.has_tokens):
        yield f"{path}: token vectors are there without their {'passages' if stray else 'matrix'}"


def _among(values: "NDArray[np.int64]", ascending: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Tell of each value whether it is in an ascending array, by bisection."""
    if not len(ascending):
        return np.zeros(len(values), dtype=bool)
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    found: NDArray[np.bool_] = ascending[at] == values
    return found


def _differences(
    place: str, what: str, stored: "NDArray[np.int64]",
    derived: "NDArray[np.int64]",
) -> Iterator[str]:  # fmt: skip
    missing, foreign = np.setdiff1d(stored, derived), np.setdiff1d(derived, stored)
    if len(missing):
        yield f"{place}: {len(missing)} {what} of the store are missing, first {missing[0]}"
    if len(foreign):
        yield f"{place}: {len(foreign)} {what} are not in the store, first {foreign[0]}"


def verify(folder: str, threads: int | None = None) -> list[str]:
    """Open an index and check all of it; what keeps it from opening is the damage then."""
    try:
        with Index.open(folder, threads=threads) as index:
            return damage(index)
    except DamagedIndexError as error:
        return [str(error)]
    except (sqlite3.DatabaseError, ValueError) as error:
        return [f"{folder}: what its store holds can't be read ({error})"]
