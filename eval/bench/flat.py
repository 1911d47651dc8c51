"""What a dense search is held against: all vectors as float32, scanned by FAISS or multiplied."""

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.records import PASSAGE_BITS

BEST = 10
_BLOCK = 65_536
# Queries multiplied at once: their scores of 1,000,000 rows take 64 MB.
_QUERIES = 16
# The product's float32 sums differ from the engine's by less than this.
_TIE = 1e-6


class Flat:
    """All vectors of an index in memory, in one flat FAISS index a thread."""

    def __init__(self, numbers: NDArray[np.int64], rows: NDArray[np.float16], threads: int) -> None:
        """Copy rows [n, dimension] under their passage numbers, ascending."""
        self.documents, self._starts = np.unique(numbers >> PASSAGE_BITS, return_index=True)
        self._pieces = [_piece(part) for part in np.array_split(rows, threads)]
        # FAISS scans for one query with one thread; shards are how it uses several.
        shards: Any = faiss.IndexShards  # the stubs lack the dimension
        self._side_by_side = shards(rows.shape[1], True, True)
        self._in_turn = shards(rows.shape[1], False, True)
        for piece in self._pieces:
            self._side_by_side.add_shard(piece)
            self._in_turn.add_shard(piece)

    def scan(self, query: NDArray[np.float32], *, all_threads: bool) -> None:
        """Find the ten best passages as FAISS does, by one thread or all."""
        index = self._side_by_side if all_threads else self._in_turn
        index.search(query[None], BEST)

    def tenths(
        self, queries: NDArray[np.float32], among: Sequence[NDArray[np.int64]]
    ) -> NDArray[np.float32]:
        """Return the tenth best score (or the last) of documents, by brute force.

        `among`: sets of places in `documents`; the answer is [sets, queries], -inf for an empty
        set.
        """
        found = np.full((len(among), len(queries)), -np.inf, dtype=np.float32)
        for start in range(0, len(queries), _QUERIES):
            chunk = queries[start : start + _QUERIES]
            scores = np.concatenate([_matrix(piece) @ chunk.T for piece in self._pieces])
            best = np.maximum.reduceat(scores, self._starts, axis=0)  # [documents, chunk]
            for place, allowed in enumerate(among):
                last = min(BEST, len(allowed)) - 1
                if last >= 0:
                    lowest = -np.partition(-best[allowed], last, axis=0)[last]
                    found[place, start : start + _QUERIES] = lowest
        return found


def recall(scores: NDArray[np.float64], tenth: float, possible: int) -> float:
    """Return which share of the ten best were found, counting any that score as well as the tenth.

    `scores` are exact ones, best first; where nothing can be found, finding nothing is right.
    """
    possible = min(BEST, possible)
    if not possible:
        return float(not len(scores))
    return min(int((scores[:BEST] >= tenth - _TIE).sum()), possible) / possible


def _piece(rows: NDArray[np.float16]) -> Any:  # noqa: ANN401 - a FAISS index
    index = faiss.IndexFlatIP(rows.shape[1])
    for start in range(0, len(rows), _BLOCK):
        index.add(rows[start : start + _BLOCK].astype(np.float32))
    return index


def _matrix(index: Any) -> NDArray[np.float32]:  # noqa: ANN401 - a FAISS index
    """Return the rows of a flat index as they lie in its memory: [rows, dimension]."""
    if not index.ntotal:
        return np.zeros((0, index.d), dtype=np.float32)
    raw = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    return np.asarray(raw).reshape(-1, index.d)
