"""First-stage and rerank scores into one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolated:
    """Final scores of all documents, and what they are made of; the pool's documents come first.

    `first` [documents] and `rerank` [pool] are the scores as they were added; `final` [documents].
    """

    first: Scores
    rerank: Scores
    final: Scores


def interpolate(first: Scores, rerank: Scores, weight: float) -> Interpolated:
    """Return final = (1 - weight) * f + weight * r for the pool, which lies in [0, 1].

    `first` [documents] falls; the pool are its first len(rerank) documents, where NaN in `rerank`
    is a document that could not be scored. With least and best over the pool:

        f = (first - least) / (best - least), 1 where all are equal;
        r likewise, over those that have a score; where there is none, r = f.

    Behind the pool final = f = first - least - 1, which is -1 or less: so it never comes before a
    document of the pool, whatever the weight.
    """
    pool = len(rerank)
    known = ~np.isnan(rerank)
    scaled = first.astype(np.float64)
    scaled[pool:] = scaled[pool:] - (first[:pool].min() if pool else 0.0) - 1
    scaled[:pool] = _scaled(first[:pool])
    reranked = scaled[:pool].copy()
    reranked[known] = _scaled(rerank[known])
    final = scaled.copy()
    final[:pool] = (1 - weight) * scaled[:pool] + weight * reranked
    return Interpolated(first=scaled, rerank=reranked, final=final)


def _scaled(scores: Scores) -> Scores:
    """Scale scores to [0, 1]; those of one value are all 1, for they tell no document apart."""
    if not len(scores) or scores.max() == (least := scores.min()):
        return np.ones_like(scores)
    scaled: Scores = (scores - least) / (scores.max() - least)
    return scaled
