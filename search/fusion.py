"""Two rankings into one: a weighted sum of min-max normalised scores, or reciprocal ranks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RRF_K = 60


@dataclass(frozen=True, slots=True)
class Ranking:
    """Documents in the total order: score descending, then the user's id by code point."""

    numbers: NDArray[np.int64]
    scores: NDArray[np.float64]

    def places(self) -> dict[int, tuple[int, float]]:
        """Map each document number to its rank, from 1, and its score."""
        pairs = zip(self.numbers.tolist(), self.scores.tolist(), strict=True)
        return {number: (rank, score) for rank, (number, score) in enumerate(pairs, 1)}


Ids = Callable[[Sequence[int]], Mapping[int, str]]


def rank(
    numbers: NDArray[np.int64], scores: NDArray[np.float64], ids: Ids, depth: int | None = None
) -> Ranking:
    """Put documents into the total order and cut them at `depth`.

    Ids are looked up only for documents that share their score with another.
    """
    order = np.argsort(-scores, kind="stable")
    numbers, scores = numbers[order], scores[order]
    equal = scores[1:] == scores[:-1]
    tied = np.flatnonzero(np.append(equal, False) | np.insert(equal, 0, False))
    if len(tied):
        names = ids(numbers[tied].tolist())
        # Stable: sorting all tied rows by (score, id) moves none out of its run of equal scores.
        rows = sorted(
            tied.tolist(), key=lambda row: (-scores[row], names.get(int(numbers[row]), ""))
        )
        numbers[tied] = numbers[rows]
    return Ranking(numbers[:depth], scores[:depth])


def min_max(lexical: Ranking, dense: Ranking, weight: float, ids: Ids) -> Ranking:
    """Add the scores, each list scaled to [0, 1], with `weight` on the dense one.

    The least BM25 score is 0, that of a document without any word of the query, whether the list
    reaches down to it or not; the least dense score is the list's own (Bruch, Gai and Ingber, 2023,
    "An Analysis of Fusion Functions for Hybrid Retrieval", compare the two kinds of minimum). A
    document that a list lacks scores 0 there.
    """
    return _sum(
        lexical.numbers,
        (1 - weight) * _scaled(lexical.scores, 0.0),
        dense.numbers,
        weight * _scaled(dense.scores, dense.scores.min(initial=np.inf)),
        ids,
    )


def reciprocal_rank(lexical: Ranking, dense: Ranking, ids: Ids) -> Ranking:
    """Add 1 / (60 + rank) of each list (Cormack, Clarke and Büttcher, SIGIR 2009)."""
    return _sum(
        lexical.numbers, 1.0 / (RRF_K + np.arange(1, len(lexical.numbers) + 1)),
        dense.numbers, 1.0 / (RRF_K + np.arange(1, len(dense.numbers) + 1)), ids,
    )  # fmt: skip


def _scaled(scores: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Scale [least, best] to [0, 1]; a list of one score tells no document apart, and gets 1."""
    if not len(scores) or scores[0] == least:
        return np.ones_like(scores)
    scaled: NDArray[np.float64] = (scores - least) / (scores[0] - least)
    return scaled


def _sum(
    lexical: NDArray[np.int64],
    lexical_scores: NDArray[np.float64],
    dense: NDArray[np.int64],
    dense_scores: NDArray[np.float64],
    ids: Ids,
) -> Ranking:
    numbers, places = np.unique(np.concatenate([lexical, dense]), return_inverse=True)
    scores = np.zeros(len(numbers))
    scores[places[: len(lexical)]] += lexical_scores
    scores[places[len(lexical) :]] += dense_scores
    return rank(numbers, scores, ids)
