"""Rows of vectors by passage number, and which of them count."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from indexer.kernel import products
from indexer.plan import Kind
from indexer.records import PASSAGE_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Rows that may be among the best, with scores, and how they were found.

    Scores are those of the kernel where `exact`; every other row's score is below `bound`, as far
    as one is known. `kind`, `effort` and `recall` are those of a Plan.
    """

    scores: NDArray[np.float64]
    rows: NDArray[np.int64]
    exact: bool = False
    bound: float = -np.inf
    kind: Kind = "flat"
    effort: int | None = None
    recall: float | None = 1.0

    def above(self, score: float) -> Self:
        """Return those rows alone that have at least a score."""
        kept = self.scores >= score
        return replace(self, scores=self.scores[kept], rows=self.rows[kept])


class Rows(ABC):
    """Vectors under ascending passage numbers; a row that does not count is never found.

    What proposes candidates differs by kind; scores come from the stored float16 numbers by one
    kernel, so they depend on neither the kind, the number of threads nor the history of the rows.
    """

    def __init__(self, numbers: NDArray[np.int64], alive: NDArray[np.bool_], norm: float) -> None:
        """Start with rows: `numbers` and `alive` are [rows], `norm` the greatest of any row."""
        self.norm = norm
        self.alive = alive
        self._renumber(numbers)

    def _renumber(self, numbers: NDArray[np.int64]) -> None:
        self.ids = numbers
        self._of = numbers >> PASSAGE_BITS  # each row's document
        self.documents = int(np.count_nonzero(np.diff(self._of))) + 1 if len(numbers) else 0

    @property
    def size(self) -> int:
        """How many rows there are, counting or not."""
        return len(self.ids)

    @property
    def last_document(self) -> int:
        """The highest document number of any row, or below 0."""
        return int(self._of[-1]) if self.size else -1

    def known(self) -> NDArray[np.int64]:
        """Return the documents that have rows, ascending and each once, counting or not."""
        return np.unique(self._of)

    def keep(self, visible: NDArray[np.int64]) -> int:
        """Let only rows of these documents count; return for how many that is new."""
        alive = self._among(visible)
        changed = int((self.alive != alive).sum())
        self.alive = alive
        return changed

    def set_alive(self, documents: Iterable[int], *, alive: bool) -> int:
        """Let the rows of these documents count or not; return for how many that is new."""
        wanted = np.fromiter(documents, dtype=np.int64)
        wanted = wanted[wanted <= self.last_document]
        first = np.searchsorted(self._of, wanted)
        counts = np.searchsorted(self._of, wanted, side="right") - first
        # Each document's rows in turn: its first one, and how far behind that.
        behind = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(first, counts) + behind
        changed = int((self.alive[rows] != alive).sum())
        self.alive[rows] = alive
        return changed

    def rows_of(self, document: int) -> slice:
        """Return a document's rows; numbers only grow, so rows are in their order."""
        first, last = np.searchsorted(self._of, (document, document + 1))
        return slice(int(first), int(last))

    def mask(self, allowed: NDArray[np.int64] | None) -> NDArray[np.bool_]:
        """Tell of each row whether it counts and its document is allowed."""
        return self.alive if allowed is None else self.alive & self._among(allowed)

    def _among(self, documents: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of each row whether its document is one of these, by a table of all numbers."""
        table = np.zeros(self.last_document + 1, dtype=bool)
        table[documents[documents <= self.last_document]] = True
        return np.asarray(table[self._of])

    def passages(self, document: int, query: NDArray[np.float32]) -> list[tuple[int, float]]:
        """Return a document's passages with their scores."""
        span = self.rows_of(document)
        rows = span.start + np.flatnonzero(self.alive[span])
        return list(zip(self.ids[rows].tolist(), self.score(rows, query).tolist(), strict=True))

    @abstractmethod
    def stored(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float16]:
        """Return rows as stored: [rows, dimension]; of a slice a view, until rows are added."""

    @abstractmethod
    def propose(self, query: NDArray[np.float32], limit: int, mask: NDArray[np.bool_]) -> Proposal:
        """Return at least `limit` of the best rows that a mask leaves, or all if they are fewer."""

    def score(self, rows: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float64]:
        """Multiply rows with a query by the one kernel."""
        return products(self.stored(rows), query)


def greatest_norm(vectors: NDArray[np.float16]) -> float:
    """Return the greatest Euclidean norm of any row, 0 without rows."""
    exact = vectors.astype(np.float32)
    return float(np.sqrt(np.einsum("ij,ij->i", exact, exact).max(initial=0.0)))
