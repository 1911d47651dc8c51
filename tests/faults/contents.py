"""What an index holds and finds, in a form that two histories of one corpus can be compared in."""

import math
from typing import Any

import numpy as np

from indexer.index import Index
from indexer.records import PASSAGE_BITS
from tests.faults.scenario import QUERIES, State

# More than there are documents, so that everything that matches is compared.
_DEPTH = 1000


def stored(index: Index) -> State:
    """The live documents by id."""
    return {document.id: document for _, document in index.store.all_live()}


def passages(index: Index) -> dict[str, list[tuple[int, int, str]]]:
    """Of each live document its passages: (start, end, float16 vector in hexadecimal)."""
    live = {number: document.id for number, document in index.store.all_live()}
    found: dict[str, list[tuple[int, int, str]]] = {id: [] for id in live.values()}
    vectors = list(index.store.vectors(-1))
    windows = index.store.windows([passage for passage, _ in vectors])
    for passage, vector in vectors:
        if id := live.get(passage >> PASSAGE_BITS):
            found[id].append((*windows[passage], vector.hex()))
    return found


def lexical_hits(index: Index, query: str) -> dict[str, float]:
    """The scores of all documents that BM25 finds."""
    hits = index.lexical.search(query, _DEPTH)
    return _by_id(index, hits.numbers, hits.scores)


def dense_hits(index: Index, query: str) -> dict[str, float]:
    """The scores of all documents that have vectors."""
    hits = index.dense.search(index.encoder.encode_queries([query])[0], _DEPTH)
    return _by_id(index, hits.numbers, hits.scores)


def _by_id(
    index: Index, numbers: "np.ndarray[Any, Any]", scores: "np.ndarray[Any, Any]"
) -> dict[str, float]:
    ids = index.store.ids(numbers.tolist())
    return {ids[n]: score for n, score in zip(numbers.tolist(), scores.tolist(), strict=True)}


def summary(index: Index) -> dict[str, Any]:
    """Everything that can be compared, as JSON values."""
    index.refresh()
    return {
        "documents": {
            id: [document.title, document.text, dict(document.metadata)]
            for id, document in stored(index).items()
        },
        "passages": {id: [list(each) for each in rows] for id, rows in passages(index).items()},
        "lexical": {query: lexical_hits(index, query) for query in QUERIES},
        "dense": {query: dense_hits(index, query) for query in QUERIES},
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any], *, scores: bool = True) -> None:
    """Compare two summaries: all bit for bit, but for the last bits of BM25's scores.

    tantivy adds a document's terms in float32, in an order that its segments decide. Without
    `scores`, only which documents BM25 finds: dead ones may count in its statistics.
    """
    for part in ("documents", "passages", "dense"):
        assert found[part] == expected[part]
    for query, hits in expected["lexical"].items():
        assert_same_scores(found["lexical"][query], hits, scores=scores)


def assert_same_scores(
    found: dict[str, float], expected: dict[str, float], *, scores: bool = True
) -> None:
    """Compare the scores of BM25 by document."""
    assert found.keys() == expected.keys()
    for id, score in expected.items() if scores else ():
        assert math.isclose(found[id], score, rel_tol=1e-6), (id, found[id], score)
