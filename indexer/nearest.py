"""The nearest documents to a query among several parts of rows, scored exactly."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.plan import Plan
from indexer.records import PASSAGE_BITS
from indexer.rows import Rows

# A scan's float32 sums differ from the kernel's by less than this, times both norms.
_ROUNDING = 1e-4

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Nearest:
    """Documents by their best passage, best first; ties at the end of the list are all there."""

    numbers: NDArray[np.int64]
    scores: NDArray[np.float64]
    passages: NDArray[np.int64]
    plan: Plan


def nearest(
    parts: Sequence[Rows],
    masks: Sequence[NDArray[np.bool_]],
    query: NDArray[np.float32],
    depth: int,
    plan: Plan,
    pool: Executor,
) -> Nearest:
    """Return the documents whose best passage scores among the best `depth`, ties included.

    `masks` tell which rows of each part may be found; parts are searched side by side.
    """
    documents = max(1, sum(part.documents for part in parts))
    size = sum(part.size for part in parts)
    # The best documents have more than their share of passages among the best ones.
    limit = int((depth + 32) * max(1.0, size / documents) ** 0.8 * 1.1)
    margin = _ROUNDING * float(np.linalg.norm(query)) * max(part.norm for part in parts)
    while True:
        scores, passages, floor = _best_rows(parts, masks, query, limit, pool)
        found = _best_passages(scores, passages, replace(plan, scored=len(scores)))
        settled = found.scores[depth - 1 : depth] > floor + margin
        if len(scores) >= plan.passages or settled.any():
            break
        limit *= 2
    if len(found.scores) > depth:
        kept = found.scores >= found.scores[depth - 1]
        return Nearest(found.numbers[kept], found.scores[kept], found.passages[kept], found.plan)
    return found


def _best_rows(
    parts: Sequence[Rows],
    masks: Sequence[NDArray[np.bool_]],
    query: NDArray[np.float32],
    limit: int,
    pool: Executor,
) -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
    """Return exact scores and passages of about `limit` rows, and a bound for all others."""
    pairs = [(part, mask) for part, mask in zip(parts, masks, strict=True) if part.size]
    if not pairs:
        return np.zeros(0), np.zeros(0, dtype=np.int64), -np.inf
    found = _each(pool, [partial(part.propose, query, limit, mask) for part, mask in pairs])
    proposals = [(part, *each) for each, (part, _) in zip(found, pairs, strict=True)]
    floor = max(bound for _, _, _, bound in proposals)
    together = np.concatenate([proposed for _, proposed, _, _ in proposals])
    if len(together) > limit:
        # Each part may hold all of the best; of their union only these need exact scores.
        cut = float(-np.partition(-together, limit - 1)[limit - 1])
        floor = max(floor, cut)
        proposals = [(part, p[p >= cut], rows[p >= cut], b) for part, p, rows, b in proposals]
    scores = _each(pool, [partial(_exactly, part, p, r, query) for part, p, r, _ in proposals])
    passages = [part.ids[rows] for part, _, rows, _ in proposals]
    return np.concatenate(scores), np.concatenate(passages), floor


def _each(pool: Executor, tasks: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run tasks side by side; a single one here, since a thread would cost more."""
    if len(tasks) == 1:
        return [tasks[0]()]
    return list(pool.map(lambda task: task(), tasks))


def _exactly(
    part: Rows,
    proposed: NDArray[np.float64],
    rows: NDArray[np.int64],
    query: NDArray[np.float32],
) -> NDArray[np.float64]:
    return proposed if part.exact else part.score(rows, query)


def _best_passages(scores: NDArray[np.float64], passages: NDArray[np.int64], plan: Plan) -> Nearest:
    """Reduce passages to documents: the best score, and of equal ones the first passage."""
    order = np.lexsort((passages, -scores))
    documents = passages[order] >> PASSAGE_BITS
    first = np.sort(np.unique(documents, return_index=True)[1])
    chosen = order[first]
    return Nearest(documents[first], scores[chosen], passages[chosen], plan)
