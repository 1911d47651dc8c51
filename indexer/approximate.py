"""Rows searched by an approximate FAISS index, IVF or HNSW, from a file that stays on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.errors import DamagedIndexError
from indexer.rows import Rows
from indexer.vector_file import Contents, row_sums

Kind: TypeAlias = Literal["flat", "ivf", "hnsw"]

# A filter that leaves more than this share searches like all rows, with more effort; of fewer rows
# an index finds too few (they lie in lists that are not probed), so all of them are looked at.
_MOST = 0.5
# Codes are coarse: of so many times more rows than are wanted the exact best are taken.
_OVERFETCH = 1.5


class Approximate(Rows):
    """Rows as a file has them; the codes and the stored numbers are read from it when needed."""

    exact = True

    def __init__(self, path: Path, contents: Contents) -> None:
        """Take up what a file holds; its index must be there."""
        super().__init__(contents.numbers, contents.alive, float(contents.notes["norm"]))
        self.path = path
        self.notes = contents.notes
        self._rows = contents.rows
        self._sums = contents.sums
        owner: Any = contents.index
        self._owner = owner  # what the downcast one below is a view of
        self._index: Any = faiss.downcast_index(owner)
        self.kind = kind_of(self._index)

    @property
    def effort(self) -> int:
        """IVF's number of lists probed or HNSW's efSearch, as chosen when it was made."""
        return int(self.notes["effort"])

    def stored(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return rows as stored: [rows, dimension].

        Raises:
            DamagedIndexError: one is not what was written.
        """
        found: NDArray[np.float16] = np.asarray(self._rows[rows])
        if len(found) and not np.array_equal(row_sums(found), self._sums[rows]):
            raise DamagedIndexError(
                f"{self.path}: rows do not have the checksums written with them; make it anew from "
                "the store with: cloze compact INDEX"
            )
        return found

    def survives(self, count: int) -> bool:
        """Tell whether so few rows are left by a filter that all of them are looked at."""
        return count <= self.size * _MOST

    def scaled(self, count: int) -> int:
        """Return the effort for so many rows left: inversely to their share."""
        return max(self.effort, round(self.effort * self.size / max(count, 1)))

    def propose(
        self, query: NDArray[np.float32], limit: int, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
        """Return exact scores and rows of what the codes say are the best.

        The bound is below every score, since none is known for the rows left out.
        """
        rows = self._candidates(query, int(limit * _OVERFETCH), mask)
        return self.score(rows, query), rows, -np.inf

    def _candidates(
        self, query: NDArray[np.float32], limit: int, mask: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Return about `limit` rows, or all where there are no more."""
        count = int(mask.sum())
        if count <= limit:
            return np.flatnonzero(mask)
        bits = np.packbits(mask, bitorder="little")
        selector = faiss.IDSelectorBitmap(self.size, faiss.swig_ptr(bits))
        chosen = selector if count < self.size else None
        if not self.survives(count):
            _, found = search(self._index, query[None], limit, self.scaled(count), chosen)
            if (found >= 0).all():
                return np.asarray(found[0])
        _, found = search_all(self._index, query[None], limit, chosen)
        there: NDArray[np.int64] = found[0][found[0] >= 0]
        return there

    def owned(self) -> Any:  # noqa: ANN401 - any kind of FAISS index
        """Return a copy of the index in memory, to which rows can be added."""
        return faiss.deserialize_index(faiss.serialize_index(self._index))


def kind_of(index: Any) -> Kind:  # noqa: ANN401 - any kind of FAISS index
    """Tell what kind a downcast FAISS index is of."""
    if isinstance(index, faiss.IndexIVF):
        return "ivf"
    return "hnsw" if isinstance(index, faiss.IndexHNSW) else "flat"


def search(
    index: Any,  # noqa: ANN401 - any kind of FAISS index
    queries: NDArray[np.float32],
    limit: int,
    effort: int,
    selector: Any | None = None,  # noqa: ANN401 - any of FAISS's selectors
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Search an index with an effort: scores and rows [queries, limit], row -1 where none is."""
    make: Callable[..., Any] = faiss.SearchParameters
    options: dict[str, Any] = {} if selector is None else {"sel": selector}
    if isinstance(index, faiss.IndexIVF):
        make, options["nprobe"] = faiss.SearchParametersIVF, min(effort, index.nlist)
    elif isinstance(index, faiss.IndexHNSW):
        make = faiss.SearchParametersHNSW  # type: ignore[attr-defined]  # the stubs lack it
        options["efSearch"] = max(effort, limit)
    scores, rows = index.search(queries, limit, params=make(**options))
    return scores, rows


def search_all(
    index: Any,  # noqa: ANN401 - any kind of FAISS index
    queries: NDArray[np.float32],
    limit: int,
    selector: Any | None,  # noqa: ANN401 - any of FAISS's selectors
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Search all codes of an index."""
    if isinstance(index, faiss.IndexIVF):
        return search(index, queries, limit, index.nlist, selector)
    storage = faiss.downcast_index(index.storage) if isinstance(index, faiss.IndexHNSW) else index
    return search(storage, queries, limit, 0, selector)
