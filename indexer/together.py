"""The nearest documents to several queries at once: every row is read once for all of them."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from indexer.kernel import all_products
from indexer.nearest import Nearest
from indexer.plan import Kind, Plan
from indexer.records import PASSAGE_BITS
from indexer.rows import Rows

# From so many queries on, reading every row for all of them is faster than a scan for each, as
# measured on 2 processors at 22,601 passages of 384 dimensions.
LEAST = 5
# Scores that are in memory at once, of all queries and rows: 64 MiB, and a quarter of that for what
# filters leave.
MOST_SCORES = 2**24


def nearest_together(
    parts: Sequence[Rows],
    masks: Sequence[Sequence[NDArray[np.bool_]] | None],
    queries: NDArray[np.float32],
    depth: int,
    pool: Executor,
) -> list[Nearest]:
    """Return for each query, [queries, dimension], what `nearest` would, from all rows.

    `masks` tell for each query which rows of each part a filter leaves, None where there is none.
    The sums must be exact (see `kernel`), and queries times rows at most `MOST_SCORES`. A plan's
    `scored` is larger than that of `nearest`: here every row that is left gets an exact score.
    """
    made = pool.map(lambda part: all_products(part.stored(slice(None)), queries), parts)
    scores = np.concatenate(list(made), axis=1)
    passages = np.concatenate([part.ids for part in parts])
    order = np.argsort(passages, kind="stable")
    alive = np.concatenate([part.alive for part in parts])[order]
    every = _Passages.of(passages[order], order, alive)
    found = []
    for row, mask in zip(scores, masks, strict=True):
        left = every
        if mask is not None:
            left = _Passages.of(passages[order], order, np.concatenate(mask)[order])
        kind: Kind = "flat" if mask is None else "survivors"
        plan = Plan(kind=kind, passages=len(left.numbers), scored=len(left.numbers))
        found.append(left.best(row, depth, plan))
    return found


@dataclass(frozen=True, slots=True)
class _Passages:
    """Passages that may be found, ascending: their columns in the scores, and their documents.

    A document's passages begin at `starts` and are `counts`.
    """

    numbers: NDArray[np.int64]
    columns: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(
        cls, numbers: NDArray[np.int64], columns: NDArray[np.int64], wanted: NDArray[np.bool_]
    ) -> Self:
        """Leave those that are wanted."""
        numbers = numbers[wanted]
        starts = np.flatnonzero(np.diff(numbers >> PASSAGE_BITS, prepend=-1))
        counts = np.diff(starts, append=len(numbers))
        return cls(numbers, columns[wanted], starts, counts)

    def best(self, row: NDArray[np.float32], depth: int, plan: Plan) -> Nearest:
        """Return the best `depth` documents by the scores of all columns, ties included."""
        if not len(self.numbers):
            return Nearest(self.numbers, np.zeros(0), self.numbers, plan)
        scores = row[self.columns]
        best = np.maximum.reduceat(scores, self.starts)
        kept = np.arange(len(best))
        if len(best) > depth:
            kept = np.flatnonzero(best >= np.partition(best, -depth)[-depth])
        # The first passage of each document that has its best score.
        equal = np.flatnonzero(scores == np.repeat(best, self.counts))
        first = equal[np.searchsorted(equal, self.starts[kept])]
        first = first[np.argsort(-best[kept], kind="stable")]
        passages = self.numbers[first]
        return Nearest(passages >> PASSAGE_BITS, scores[first].astype(np.float64), passages, plan)
