"""Rows of one flat FAISS index, which one thread scans."""

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.rows import Proposal, Rows, greatest_norm

# Rows scored one by one, by the exact kernel, cost less than a masked scan below this share.
_SURVIVORS = 0.1
# A process that has searched so often goes on searching, and a copy in float32 is worth its making:
# it is scanned in a quarter of the time. Larger shards, of indexes that were asked to be flat, do
# without.
_SEARCHES = 4
_WIDE_ROWS = 50_000


class Shard(Rows):
    """Rows in the memory of one flat FAISS index, whose codes are the stored float16 numbers."""

    def __init__(self, dimension: int) -> None:
        """Start without rows."""
        super().__init__(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool), 0.0)
        self.dimension = dimension
        self._index = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        self._index.is_trained = True
        self._searches = 0
        # Room for rows in float32, of which the first `_wide_rows` are there.
        self._wide = np.zeros((0, dimension), dtype=np.float32)
        self._wide_rows = 0

    def stored(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float16]:
        """Return rows as stored: [rows, dimension]; of a slice a view, until rows are added."""
        if not self.size:
            return np.zeros((0, self.dimension), dtype=np.float16)
        raw = faiss.rev_swig_ptr(self._index.codes.data(), self._index.codes.size())
        return np.asarray(raw).view(np.float16).reshape(-1, self.dimension)[rows]

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Append rows in float16: passage numbers above all before, [rows, dimension]."""
        if len(ids):
            self._index.add(vectors.astype(np.float32))
            self.alive = np.concatenate([self.alive, np.ones(len(ids), dtype=bool)])
            self._renumber(np.concatenate([self.ids, ids]))
            self.norm = max(self.norm, greatest_norm(vectors))

    def propose(self, query: NDArray[np.float32], limit: int, mask: NDArray[np.bool_]) -> Proposal:
        """Return FAISS's scores and rows of the best, and a bound for all rows left out."""
        count = int(mask.sum())
        if count <= max(limit, int(self.size * _SURVIVORS)):
            survivors = np.flatnonzero(mask)
            return Proposal(scores=self.score(survivors, query), rows=survivors, exact=True)
        self._searches += 1
        if self._searches > _SEARCHES and self.size <= _WIDE_ROWS:
            return self._propose_wide(query, limit, mask, count)
        parameters = None
        if count < self.size:
            bits = np.packbits(mask, bitorder="little")
            selector = faiss.IDSelectorBitmap(self.size, faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # stubs lack it
        proposed, rows = self._index.search(query[None], limit, params=parameters)
        scores = proposed[0].astype(np.float64)
        return Proposal(scores=scores, rows=rows[0], bound=float(scores[-1]))

    def _propose_wide(
        self, query: NDArray[np.float32], limit: int, mask: NDArray[np.bool_], count: int
    ) -> Proposal:
        """Return what a scan of the rows in float32 finds, in no order."""
        scores = self._widened() @ query
        if count < self.size:
            scores[~mask] = -np.inf
        rows = np.argpartition(scores, self.size - limit)[self.size - limit :]
        found = scores[rows].astype(np.float64)
        return Proposal(scores=found, rows=rows, bound=float(found[0]))

    def _widened(self) -> NDArray[np.float32]:
        """Return all rows in float32, those that came since the last time converted now."""
        if self.size > len(self._wide):
            room = np.empty((self.size + self.size // 8 + 1, self.dimension), dtype=np.float32)
            room[: self._wide_rows] = self._wide[: self._wide_rows]
            self._wide = room
        if self.size > self._wide_rows:
            new = np.arange(self._wide_rows, self.size)
            self._wide[self._wide_rows : self.size] = self.stored(new)
            self._wide_rows = self.size
        return self._wide[: self.size]
