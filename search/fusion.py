"""Two rankings into one: a weighted sum of min-max normalised scores, or reciprocal ranks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.hits import Stage

RRF_K = 60


Ids = Callable[[Sequence[int]], Mapping[int, str]]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Documents by score, descending; equal scores stand in the order that `rank` was asked for."""

    numbers: NDArray[np.int64]
    scores: NDArray[np.float64]

    def places(self, numbers: Sequence[int], ids: Ids) -> dict[int, tuple[int, float]]:
        """Map those documents that are in here, and their equals, to their rank and score."""
        rows = np.flatnonzero(np.isin(self.numbers, numbers, kind="sort"))
        falling, wanted = -self.scores, -self.scores[rows]
        runs = zip(
            np.searchsorted(falling, wanted, side="left").tolist(),
            np.searchsorted(falling, wanted, side="right").tolist(),
            strict=True,
        )
        found: dict[int, tuple[int, float]] = {}
        for first, last in set(runs):
            run = self.numbers[first:last].tolist()
            if len(run) > 1:
                names = ids(run)
                run.sort(key=names.__getitem__)
            score = float(self.scores[first])
            found |= {number: (place, score) for place, number in enumerate(run, first + 1)}
        return found


def rank(
    numbers: NDArray[np.int64],
    scores: NDArray[np.float64],
    ids: Ids,
    *,
    depth: int | None = None,
    settle: int | None = None,
) -> Ranking:
    """Order documents by score descending, then by the user's id, and cut them at `depth`.

    Ids are looked up only where they decide: for documents of equal score across the cut, and
    within the first `settle` places (None: everywhere). Elsewhere equal scores stay unordered.
    """
    order = np.argsort(-scores, kind="stable")
    numbers, scores = numbers[order], scores[order]
    rows = _undecided(scores, depth, settle)
    if len(rows):
        names = ids(numbers[rows].tolist())
        # Whole runs of equal scores are sorted together, so that none leaves its run.
        by_id = sorted(rows.tolist(), key=lambda row: (-scores[row], names[int(numbers[row])]))
        numbers[rows] = numbers[by_id]
    return Ranking(numbers[:depth], scores[:depth])


def _undecided(
    scores: NDArray[np.float64], depth: int | None, settle: int | None
) -> NDArray[np.intp]:
    """Return the rows of every run of equal scores whose inner order matters."""
    equal = scores[1:] == scores[:-1]
    tied = np.zeros(len(scores), dtype=bool)
    tied[:-1] = equal
    tied[1:] |= equal
    if settle is not None:
        last = min(settle, len(scores))
        tied[_equal(scores, last - 1)[1] if last else 0 :] = False
        if depth is not None and 0 < depth < len(scores):
            first, last = _equal(scores, depth)
            tied[first:last] = first < depth
    return np.flatnonzero(tied)


def _equal(scores: NDArray[np.float64], row: int) -> tuple[int, int]:
    """Return the run [first, last) of scores, descending, that equal a row's."""
    first = int(np.searchsorted(-scores, -scores[row], side="left"))
    return first, int(np.searchsorted(-scores, -scores[row], side="right"))


def min_max(
    lexical: Ranking, dense: Ranking, weight: float, ids: Ids, settle: int | None = None
) -> Ranking:
    """Add the scores, each list scaled to [0, 1], with `weight` on the dense one.

    The least BM25 score is 0, that of a document without any word of the query, whether the list
    reaches down to it or not; the least dense score is the list's own (Bruch, Gai and Ingber, 2023,
    "An Analysis of Fusion Functions for Hybrid Retrieval", compare the two kinds of minimum). A
    document that a list lacks scores 0 there.
    """
    return _sum(
        lexical.numbers,
        (1 - weight) * normalised(lexical, "lexical"),
        dense.numbers,
        weight * normalised(dense, "dense"),
        ids,
        settle,
    )


def reciprocal_rank(
    lexical: Ranking, dense: Ranking, ids: Ids, settle: int | None = None
) -> Ranking:
    """Add 1 / (60 + rank) of each list (Cormack, Clarke and Büttcher, SIGIR 2009).

    Both lists must be settled everywhere.
    """
    return _sum(
        lexical.numbers,
        1.0 / (RRF_K + np.arange(1, len(lexical.numbers) + 1)),
        dense.numbers,
        1.0 / (RRF_K + np.arange(1, len(dense.numbers) + 1)),
        ids,
        settle,
    )


def normalised(ranking: Ranking, stage: Stage) -> NDArray[np.float64]:
    """Return a stage's scores as `min_max` adds them, from its least, 0, to the list's best, 1."""
    scores = ranking.scores
    least = 0.0 if stage == "lexical" else scores.min(initial=np.inf)
    if not len(scores) or scores[0] == least:
        return np.ones_like(scores)  # a list of one score tells no document apart
    scaled: NDArray[np.float64] = (scores - least) / (scores[0] - least)
    return scaled


def _sum(
    lexical: NDArray[np.int64],
    lexical_scores: NDArray[np.float64],
    dense: NDArray[np.int64],
    dense_scores: NDArray[np.float64],
    ids: Ids,
    settle: int | None,
) -> Ranking:
    """Add what two lists give a document; with `settle`, all behind these places may be missing."""
    by_number = np.argsort(lexical)
    places = np.searchsorted(lexical, dense, sorter=by_number)
    rows = by_number[np.minimum(places, len(lexical) - 1)] if len(lexical) else places
    both = lexical[rows] == dense if len(lexical) else np.zeros(len(dense), dtype=bool)
    together = lexical_scores.copy()
    together[rows[both]] += dense_scores[both]
    numbers = np.concatenate([lexical, dense[~both]])
    scores = np.concatenate([together, dense_scores[~both]])
    if settle is not None and settle < len(scores):
        kept = scores >= (np.partition(scores, -settle)[-settle] if settle else np.inf)
        numbers, scores = numbers[kept], scores[kept]
    return rank(numbers, scores, ids, settle=settle)
