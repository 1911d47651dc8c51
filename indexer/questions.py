"""Sentences of stored passages as queries, to measure an approximate index with."""

import contextlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.errors import ClozeError
from indexer.passages import sentences
from indexer.records import PASSAGE_BITS

if TYPE_CHECKING:
    from indexer.opened import OpenedIndex

_LEAST_WORDS = 4


def questions(index: "OpenedIndex", passages: list[int]) -> NDArray[np.float32]:
    """Return the query vectors of one sentence of each passage: [texts, dimension].

    Of each passage the first sentence of at least four words, else all of it. None come back where
    the encoder can't be had; the caller then has the passages' own vectors.
    """
    texts = [text for text in _texts(index, passages) if text.strip()]
    vectors = np.zeros((0, 0), dtype=np.float32)
    with contextlib.suppress(ClozeError):
        vectors = index.encoder.encode_queries(texts)
    return vectors


def _texts(index: "OpenedIndex", passages: list[int]) -> list[str]:
    with index.store.snapshot():
        windows = index.store.windows(passages)
        documents = index.store.documents([passage >> PASSAGE_BITS for passage in passages])
    texts = []
    for passage, (start, end) in windows.items():
        document = documents.get(passage >> PASSAGE_BITS)
        if document is None:  # purged by another process
            continue
        text = document.text[start:end] or document.title
        long = (each for each in sentences(text) if len(each.split()) >= _LEAST_WORDS)
        texts.append(next(long, text))
    return texts
