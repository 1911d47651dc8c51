"""The nearest documents to a query among several parts of rows, scored exactly."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.plan import Kind, Plan
from indexer.records import PASSAGE_BITS
from indexer.rows import Proposal, Rows

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
    pool: Executor,
    *,
    filtered: bool,
) -> Nearest:
    """Return the documents whose best passage scores among the best `depth`, ties included.

    `masks` tell which rows of each part may be found, by a filter too where `filtered`; parts are
    searched side by side, the one that has most rows first.
    """
    reachable = sum(int(mask.sum()) for mask in masks)
    documents = max(1, sum(part.documents for part in parts))
    size = sum(part.size for part in parts)
    # The best documents have more than their share of passages among the best ones.
    limit = int((depth + 32) * max(1.0, size / documents) ** 0.8 * 1.1)
    margin = _ROUNDING * float(np.linalg.norm(query)) * max(part.norm for part in parts)
    while True:
        scores, passages, floor, main = _best_rows(parts, masks, query, limit, pool)
        kind: Kind = main.kind
        if kind in ("flat", "survivors"):  # all that could be found was looked at
            kind = "survivors" if filtered else "flat"
        plan = Plan(
            kind=kind,
            passages=reachable,
            scored=len(scores),
            effort=main.effort,
            recall=main.recall,
        )
        found = _best_passages(scores, passages, plan)
        settled = found.scores[depth - 1 : depth] > floor + margin
        if len(scores) >= reachable or settled.any():
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
) -> tuple[NDArray[np.float64], NDArray[np.int64], float, Proposal]:
    """Return exact scores and passages of the best rows, a bound for all others, and the first's.

    The bound holds for rows whose scores are bounded at all: those of an approximate index are not.
    """
    pairs = [(part, mask) for part, mask in zip(parts, masks, strict=True) if part.size]
    if not pairs:
        nothing = Proposal(scores=np.zeros(0), rows=np.zeros(0, dtype=np.int64), exact=True)
        return nothing.scores, nothing.rows, -np.inf, nothing
    found = _each(pool, [partial(part.propose, query, limit, mask) for part, mask in pairs])
    floor = max(each.bound for each in found)
    together = np.concatenate([each.scores for each in found])
    cut = -np.inf
    if len(together) > limit and not all(each.exact for each in found):
        # Each part may hold all of the best; of their union only these need exact scores.
        cut = float(-np.partition(-together, limit - 1)[limit - 1])
        floor = max(floor, cut)
    chosen = [each.rows if each.exact else each.rows[each.scores >= cut] for each in found]
    scores = _each(
        pool,
        [
            partial(_exactly, part, each, rows, query)
            for (part, _), each, rows in zip(pairs, found, chosen, strict=True)
        ],
    )
    passages = [part.ids[rows] for (part, _), rows in zip(pairs, chosen, strict=True)]
    return np.concatenate(scores), np.concatenate(passages), floor, found[0]


def _each(pool: Executor, tasks: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run tasks side by side; a single one here, since a thread would cost more."""
    if len(tasks) == 1:
        return [tasks[0]()]
    return list(pool.map(lambda task: task(), tasks))


def _exactly(
    part: Rows, proposal: Proposal, rows: NDArray[np.int64], query: NDArray[np.float32]
) -> NDArray[np.float64]:
    return proposal.scores if proposal.exact else part.score(rows, query)


def _best_passages(scores: NDArray[np.float64], passages: NDArray[np.int64], plan: Plan) -> Nearest:
    """Reduce passages to documents: the best score, and of equal ones the first passage."""
    order = np.lexsort((passages, -scores))
    documents = passages[order] >> PASSAGE_BITS
    first = np.sort(np.unique(documents, return_index=True)[1])
    chosen = order[first]
    return Nearest(documents[first], scores[chosen], passages[chosen], plan)
