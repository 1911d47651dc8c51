"""Rows searched by an approximate FAISS index, IVF or HNSW, from a file that stays on disk."""

import math
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.errors import DamagedIndexError
from indexer.gpus import MOST_ROWS, on_gpu
from indexer.plan import Kind
from indexer.probing import probe
from indexer.rows import Proposal, Rows
from indexer.vector_file import Contents, row_sums

# A filter that leaves more than this share searches like all rows, with more effort; of fewer rows
# an index finds too few (they lie in lists that are not probed), so all of them are looked at.
_MOST = 0.5
# Codes are coarse: of so many times more rows than are wanted the exact best are taken.
_OVERFETCH = 1.5
# So many at least, with which recall is measured.
LEAST = 100
# Of codes that are all looked at, at least so many rows are scored exactly, however few are wanted.
LEAST_OF_ALL = 1000
# IVF probes lists that hold, if all are of one length, so many times the rows that are wanted.
_ENOUGH = 2
# To share fewer lists among threads costs more than it saves.
_SHARED = 64


class Approximate(Rows):
    """Rows as a file has them; the codes and the stored numbers are read from it when needed."""

    def __init__(
        self, path: Path, contents: Contents, threads: int, pool: Executor, device: str = "cpu"
    ) -> None:
        """Take up what a file holds, its index too."""
        super().__init__(contents.numbers, contents.alive, float(contents.notes["norm"]))
        self.path = path
        self.notes = contents.notes
        self._threads = threads
        self._pool = pool
        self._rows = contents.rows
        self._sums = contents.sums
        owner: Any = contents.index
        self._owner = owner  # what the downcast one below is a view of
        self._index: Any = faiss.downcast_index(owner)
        self.kind = kind_of(self._index)
        self._on_gpu = on_gpu(self._index, device) if self.kind == "ivf" else None

    @property
    def effort(self) -> int:
        """IVF's number of lists probed or HNSW's efSearch, as chosen when it was made."""
        return int(self.notes["effort"])

    def stored(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float16]:
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

    def propose(self, query: NDArray[np.float32], limit: int, mask: NDArray[np.bool_]) -> Proposal:
        """Return exact scores and rows of what the codes say are the best.

        No bound is known for the rows left out.
        """
        count, wanted = int(mask.sum()), max(int(limit * _OVERFETCH), LEAST)
        if count <= wanted:
            rows = np.flatnonzero(mask)
            return Proposal(scores=self.score(rows, query), rows=rows, exact=True, kind="survivors")
        if count > self.size * _MOST and self.kind != "flat":
            return self._few(query, wanted, mask, count)
        return self._all(query, wanted, mask, count)

    def _few(
        self, query: NDArray[np.float32], wanted: int, mask: NDArray[np.bool_], count: int
    ) -> Proposal:
        """Look where the index says, with more effort until there are enough rows."""
        # Inversely to the share that is left, and far enough to meet so many rows at all.
        effort = round(self.effort * self.size / count)
        most = getattr(self._index, "nlist", self.size)
        if self.kind == "ivf":
            effort = max(effort, math.ceil(_ENOUGH * wanted * most / count))
        selector = self._selector(mask, count)
        while effort < most:
            found = self._look(query, wanted, effort, selector, count)
            found = found[mask[found]]
            if len(found) >= wanted:
                used = max(effort, wanted) if self.kind == "hnsw" else effort
                return Proposal(
                    scores=self.score(found, query), rows=found, exact=True, kind=self.kind,
                    effort=used, recall=float(self.notes["recall"]),
                )  # fmt: skip
            effort *= 2
        return self._all(query, wanted, mask, count)

    def _look(
        self,
        query: NDArray[np.float32],
        wanted: int,
        effort: int,
        selector: Any | None,  # noqa: ANN401 - any of FAISS's selectors
        count: int,
    ) -> NDArray[np.int64]:
        """Return about so many rows, on a GPU or by all threads where that can be."""
        spare = self.size - count
        if self._on_gpu is not None and wanted + spare <= MOST_ROWS:  # it knows no selector
            rows = search(self._on_gpu, query[None], wanted + spare, effort)
        elif self.kind == "ivf" and self._threads > 1 and effort >= _SHARED:
            rows = probe(self._index, query, wanted, effort, selector, self._threads, self._pool)
        else:
            rows = search(self._index, query[None], wanted, effort, selector)
        found: NDArray[np.int64] = rows[rows >= 0]
        return found

    def _all(
        self, query: NDArray[np.float32], wanted: int, mask: NDArray[np.bool_], count: int
    ) -> Proposal:
        """Look at the codes of all rows that are left."""
        wanted = min(max(wanted, LEAST_OF_ALL), count)
        rows = search_all(self._index, query[None], wanted, self._selector(mask, count))
        found = rows[rows >= 0]
        kind: Kind = "flat" if self.kind == "flat" and count > self.size * _MOST else "survivors"
        return Proposal(
            scores=self.score(found, query), rows=found, exact=True, kind=kind,
            recall=float(self.notes["recall_of_all"]),
        )  # fmt: skip

    def _selector(self, mask: NDArray[np.bool_], count: int) -> Any | None:  # noqa: ANN401 - FAISS's
        if count == self.size:
            return None
        bits = np.packbits(mask, bitorder="little")
        selector: Any = faiss.IDSelectorBitmap(self.size, faiss.swig_ptr(bits))
        selector.referenced_objects = (bits,)
        return selector

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
) -> NDArray[np.int64]:
    """Search an index with an effort: rows [queries, limit], best first, -1 where none is."""
    make: Callable[..., Any] = faiss.SearchParameters
    options: dict[str, Any] = {} if selector is None else {"sel": selector}
    if hasattr(index, "nlist"):  # IndexIVF, and its kinds on GPUs, which are none
        make, options["nprobe"] = faiss.SearchParametersIVF, min(effort, index.nlist)
    elif isinstance(index, faiss.IndexHNSW):
        make = faiss.SearchParametersHNSW  # type: ignore[attr-defined]  # the stubs lack it
        options["efSearch"] = max(effort, limit)
    rows: NDArray[np.int64] = index.search(queries, limit, params=make(**options))[1]
    return rows


def search_all(
    index: Any,  # noqa: ANN401 - any kind of FAISS index
    queries: NDArray[np.float32],
    limit: int,
    selector: Any | None = None,  # noqa: ANN401 - any of FAISS's selectors
) -> NDArray[np.int64]:
    """Search all codes of an index: rows [queries, limit], best first, -1 where none is."""
    if isinstance(index, faiss.IndexIVF):
        return search(index, queries, limit, index.nlist, selector)
    storage = faiss.downcast_index(index.storage) if isinstance(index, faiss.IndexHNSW) else index
    return search(storage, queries, limit, 0, selector)
