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
        proposed = _propose(parts, masks, query, limit, pool)
        scores, passages = _scored(proposed, query, depth, margin, pool)
        main = proposed.main
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
        settled = found.scores[depth - 1 : depth] > proposed.floor + margin
        if proposed.rows >= reachable or settled.any():
            break
        limit *= 2
    if len(found.scores) > depth:
        kept = found.scores >= found.scores[depth - 1]
        return Nearest(found.numbers[kept], found.scores[kept], found.passages[kept], found.plan)
    return found


@dataclass(frozen=True, slots=True)
class _Proposed:
    """Rows of each part that may be among the best, a bound for all others, the first's plan.

    The bound holds for rows whose scores are bounded at all: those of an approximate index are not.
    """

    pairs: list[tuple[Rows, Proposal]]
    floor: float
    main: Proposal

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(len(proposal.rows) for _, proposal in self.pairs)


def _propose(
    parts: Sequence[Rows],
    masks: Sequence[NDArray[np.bool_]],
    query: NDArray[np.float32],
    limit: int,
    pool: Executor,
) -> _Proposed:
    """Let every part propose its best rows; of their union only the best `limit` are left."""
    pairs = [(part, mask) for part, mask in zip(parts, masks, strict=True) if part.size]
    if not pairs:
        nothing = Proposal(scores=np.zeros(0), rows=np.zeros(0, dtype=np.int64), exact=True)
        return _Proposed([], -np.inf, nothing)
    found = _each(pool, [partial(part.propose, query, limit, mask) for part, mask in pairs])
    floor = max(each.bound for each in found)
    together = np.concatenate([each.scores for each in found])
    if len(together) > limit and not all(each.exact for each in found):
        # Each part may hold all of the best; of their union only these are looked at.
        cut = float(-np.partition(-together, limit - 1)[limit - 1])
        floor = max(floor, cut)
        found = [each if each.exact else each.above(cut) for each in found]
    return _Proposed(list(zip((part for part, _ in pairs), found, strict=True)), floor, found[0])


def _scored(
    proposed: _Proposed,
    query: NDArray[np.float32],
    depth: int,
    margin: float,
    pool: Executor,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return exact scores and passages of the rows that may be the best of a document."""
    pairs = proposed.pairs
    if not pairs:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    passages = [part.ids[each.rows] for part, each in pairs]
    if all(each.exact for _, each in pairs):
        return np.concatenate([each.scores for _, each in pairs]), np.concatenate(passages)
    rough = np.concatenate([each.scores for _, each in pairs])
    kept = _contenders(rough, np.concatenate(passages) >> PASSAGE_BITS, depth, 2 * margin)
    shares = np.split(kept, np.cumsum([len(each.rows) for _, each in pairs])[:-1])
    scores = _each(
        pool,
        [
            partial(_exactly, part, each, share, query)
            for (part, each), share in zip(pairs, shares, strict=True)
        ],
    )
    chosen = [its[share] for its, share in zip(passages, shares, strict=True)]
    return np.concatenate(scores), np.concatenate(chosen)


def _contenders(
    rough: NDArray[np.float64], documents: NDArray[np.int64], depth: int, slack: float
) -> NDArray[np.bool_]:
    """Tell which rows may be the best of their document, and their document among the best.

    `slack` is by how much two rough scores may differ where the exact ones are equal.
    """
    order = np.argsort(documents, kind="stable")
    starts = np.flatnonzero(np.diff(documents[order], prepend=-1))
    best = np.maximum.reduceat(rough[order], starts)
    least = -np.inf
    if len(best) > depth:
        least = float(np.partition(best, -depth)[-depth]) - slack
    of_document = np.empty(len(rough))
    of_document[order] = np.repeat(best, np.diff(starts, append=len(rough)))
    kept: NDArray[np.bool_] = (rough >= of_document - slack) & (rough >= least)
    return kept


def _each(pool: Executor, tasks: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run tasks side by side; a single one here, since a thread would cost more."""
    if len(tasks) == 1:
        return [tasks[0]()]
    return list(pool.map(lambda task: task(), tasks))


def _exactly(
    part: Rows, proposal: Proposal, chosen: NDArray[np.bool_], query: NDArray[np.float32]
) -> NDArray[np.float64]:
    if proposal.exact:
        return proposal.scores[chosen]
    return part.score(proposal.rows[chosen], query)


def _best_passages(scores: NDArray[np.float64], passages: NDArray[np.int64], plan: Plan) -> Nearest:
    """Reduce passages to documents: the best score, and of equal ones the first passage."""
    order = np.lexsort((passages, -scores))
    documents = passages[order] >> PASSAGE_BITS
    first = np.sort(np.unique(documents, return_index=True)[1])
    chosen = order[first]
    return Nearest(documents[first], scores[chosen], passages[chosen], plan)
