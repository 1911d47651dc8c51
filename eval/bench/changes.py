"""How soon one document's change is seen, in a copy of an index that has vectors."""

import os
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.figures import spread
from indexer.documents import Document
from indexer.vector_file import SUFFIX
from search.index import Index

_CHANGES = 20


def changes(source: Index, folder: Path) -> dict[str, dict[str, float]]:
    """Time documents replaced, then deleted, one at a time, from the call to a search that sees it.

    Passages get random vectors, so that no time is the encoder's, which is lent by `source`.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        twin = Path(place) / "index"
        # The vectors' file is never written to again; store and postings are.
        shutil.copytree(folder, twin, copy_function=_link_vectors)
        with Index.open(twin, threads=source.threads) as index:
            index.__dict__["encoder"] = _Stub(source)
            _ = index.dense
            numbers = index.lexical.numbers().tolist()
            numbers = random.Random(0).sample(numbers, min(_CHANGES, len(numbers)))
            chosen = list(index.store.documents(numbers).values())
            upserts = [_upserted(index, each, place) for place, each in enumerate(chosen)]
            deletes = [_deleted(index, each.id, place) for place, each in enumerate(chosen)]
    return {"upsert_ms": spread(upserts), "delete_ms": spread(deletes)}


def _link_vectors(source: str, target: str) -> object:
    return (os.link if source.endswith(SUFFIX) else shutil.copy2)(source, target)


class _Stub:
    """The encoder of an index, but for documents' vectors, which are random and cost nothing."""

    def __init__(self, source: Index) -> None:
        self._encoder = source.encoder
        self._rng = np.random.default_rng(0)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the encoder has
        return getattr(self._encoder, name)

    def encode_documents(self, texts: Sequence[str], **_: object) -> NDArray[np.float32]:
        """Return random unit vectors: [texts, dimension]."""
        shape = (len(texts), self._encoder.checkpoint.dimension)
        vectors = self._rng.standard_normal(shape, dtype=np.float32)
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def _upserted(index: Index, old: Document, place: int) -> float:
    word = f"benchword{place}"
    new = Document(id=old.id, title=old.title, text=f"{word} {old.text}", metadata=old.metadata)
    begin = perf_counter()
    index.add([new])
    found = index.search(word, mode="lexical").hits
    seconds = perf_counter() - begin
    if [hit.id for hit in found] != [old.id] or not _has_vectors(index, _number(index, old.id)):
        raise AssertionError(f"{word} was not found after it was written")
    return seconds


def _deleted(index: Index, id_: str, place: int) -> float:
    number = _number(index, id_)
    begin = perf_counter()
    index.delete([id_])
    found = index.search(f"benchword{place}", mode="lexical").hits
    seconds = perf_counter() - begin
    if found or _has_vectors(index, number):
        raise AssertionError(f"{id_} was found after it was deleted")
    return seconds


def _number(index: Index, id_: str) -> int:
    return index.store.live([id_])[id_].number


def _has_vectors(index: Index, number: int) -> bool:
    return bool(index.dense.passages(number, np.ones(index.dense.dimension, dtype=np.float32)))
