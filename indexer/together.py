"""The nearest documents to several queries at once: every row is read once for all of them."""

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from indexer.kernel import all_products
from indexer.nearest import Nearest
from indexer.plan import Kind, Plan
from indexer.records import PASSAGE_BITS
from indexer.rows import Rows


def nearest_together(
    parts: Sequence[Rows],
    masks: Sequence[Sequence[NDArray[np.bool_]] | None],
    queries: NDArray[np.float32],
    depth: int,
    pool: Executor,
) -> list[Nearest]:
    """Return for each query, [queries, dimension], what `nearest` would, from all rows.

    `masks` tell for each query which rows of each part a filter leaves, None where there is none.
    The sums must be exact (see `kernel`).
    """
    whole = [part.stored(np.arange(part.size)) for part in parts]
    made = pool.map(lambda rows: all_products(rows, queries), whole)
    scores = np.concatenate(list(made), axis=1)
    numbers = np.concatenate([part.ids for part in parts])
    order = np.argsort(numbers, kind="stable")
    numbers, scores = numbers[order], scores[:, order]
    alive = np.concatenate([part.alive for part in parts])[order]
    found = []
    for row, mask in zip(scores, masks, strict=True):
        wanted = alive if mask is None else np.concatenate(mask)[order]
        chosen = _best(row[wanted], numbers[wanted], depth)
        kind: Kind = "flat" if mask is None else "survivors"
        count = int(wanted.sum())
        found.append(Nearest(*chosen, Plan(kind=kind, passages=count, scored=count)))
    return found


def _best(
    scores: NDArray[np.float32], passages: NDArray[np.int64], depth: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Reduce passages, ascending, to the best `depth` documents, what ties with the last included.

    Returns documents, their scores, and each one's best passage, the first of equal ones.
    """
    if not len(scores):
        return passages, scores.astype(np.float64), passages
    documents = passages >> PASSAGE_BITS
    starts = np.flatnonzero(np.diff(documents, prepend=-1))
    best = np.maximum.reduceat(scores, starts)
    kept = np.arange(len(starts))
    if len(starts) > depth:
        kept = np.flatnonzero(best >= np.partition(best, -depth)[-depth])
    # The first row of each document that has its best score.
    counts = np.diff(starts, append=len(scores))
    equal = np.flatnonzero(scores == np.repeat(best, counts))
    first = equal[np.searchsorted(equal, starts[kept])]
    order = np.argsort(-best[kept], kind="stable")
    first = first[order]
    return documents[first], scores[first].astype(np.float64), passages[first]
