"""Rows of one flat FAISS index, which one thread scans."""

from collections.abc import Iterable

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.records import PASSAGE_BITS

# Rows scored one by one, by the exact kernel, cost less than a masked scan below this share.
_SURVIVORS = 0.1


class Shard:
    """Rows of one flat FAISS index, with their passage numbers and whether they still count."""

    def __init__(self, dimension: int) -> None:
        """Start without rows."""
        self.dimension = dimension
        self._index = scalar_index(dimension)
        self.ids = np.zeros(0, dtype=np.int64)
        self.alive = np.zeros(0, dtype=bool)
        self.documents = 0
        self.norm = 0.0

    @property
    def size(self) -> int:
        """How many rows there are, counting or not."""
        return len(self.ids)

    @property
    def last_document(self) -> int:
        """The highest document number of any row, or below 0."""
        return int(self.ids.max(initial=-1)) >> PASSAGE_BITS

    @property
    def vectors(self) -> NDArray[np.float16]:
        """The rows' own memory in FAISS, not a copy: [rows, dimension]."""
        if not self.size:
            return np.zeros((0, self.dimension), dtype=np.float16)
        raw = faiss.rev_swig_ptr(self._index.codes.data(), self._index.codes.size())
        return np.asarray(raw).view(np.float16).reshape(-1, self.dimension)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Append rows in float16: passage numbers above all before, [rows, dimension]."""
        if len(ids):
            self._index.add(vectors.astype(np.float32))
            self.ids = np.concatenate([self.ids, ids])
            self.alive = np.concatenate([self.alive, np.ones(len(ids), dtype=bool)])
            self.documents += len(np.unique(ids >> PASSAGE_BITS))
            exact = vectors.astype(np.float32)
            self.norm = max(self.norm, float(np.sqrt(np.einsum("ij,ij->i", exact, exact).max())))

    def keep(self, visible: NDArray[np.int64]) -> int:
        """Let only rows of these documents count; return for how many that is new."""
        alive = np.isin(self.ids >> PASSAGE_BITS, visible)
        changed = int((self.alive != alive).sum())
        self.alive = alive
        return changed

    def set_alive(self, documents: Iterable[int], *, alive: bool) -> int:
        """Let the rows of these documents count or not; return for how many that is new."""
        changed = 0
        for document in documents:
            rows = self.rows_of(document)
            changed += int((self.alive[rows] != alive).sum())
            self.alive[rows] = alive
        return changed

    def rows_of(self, document: int) -> slice:
        """Return a document's rows; numbers only grow, so rows are in their order."""
        bounds = [document << PASSAGE_BITS, (document + 1) << PASSAGE_BITS]
        first, last = np.searchsorted(self.ids, bounds)
        return slice(int(first), int(last))

    def mask(self, allowed: NDArray[np.int64] | None) -> NDArray[np.bool_]:
        """Tell of each row whether it counts and its document is allowed."""
        if allowed is None:
            return self.alive
        return self.alive & np.isin(self.ids >> PASSAGE_BITS, allowed)

    def passages(self, document: int, query: NDArray[np.float32]) -> list[tuple[int, float]]:
        """Return a document's passages with their scores."""
        span = self.rows_of(document)
        rows = span.start + np.flatnonzero(self.alive[span])
        return list(zip(self.ids[rows].tolist(), self.score(rows, query).tolist(), strict=True))

    def propose(
        self, query: NDArray[np.float32], limit: int, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], float]:
        """Return FAISS's scores and rows of the best, and a bound for all rows left out."""
        count = int(mask.sum())
        if count <= max(limit, int(self.size * _SURVIVORS)):
            survivors = np.flatnonzero(mask)
            return self.score(survivors, query).astype(np.float32), survivors, -np.inf
        parameters = None
        if count < self.size:
            bits = np.packbits(mask, bitorder="little")
            selector = faiss.IDSelectorBitmap(self.size, faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # stubs lack it
        proposed, rows = self._index.search(query[None], limit, params=parameters)
        return proposed[0], rows[0], float(proposed[0, -1])

    def score(self, rows: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float64]:
        """Multiply row by row in float32, summed per row, so that no row feels another."""
        vectors = self.vectors[rows].astype(np.float32)  # [rows, dimension]
        scores: NDArray[np.float32] = np.einsum("ij,j->i", vectors, query)
        return scores.astype(np.float64)


def scalar_index(dimension: int) -> faiss.IndexScalarQuantizer:
    """Make a flat index whose codes are the stored float16 numbers themselves."""
    index = faiss.IndexScalarQuantizer(
        dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.is_trained = True
    return index
