"""The similarity of pairs from frozen vectors: ridge regression, judged by rank correlation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from training.probe.classifier import standardise

Floats: TypeAlias = NDArray[np.float64]

# Of the mean squared error, so that they mean the same whatever the number of rows.
STRENGTHS = (100.0, 10.0, 3.0, 1.0, 0.3, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """Features of pairs [rows, features], and how similar people find them [rows]."""

    features: NDArray[np.floating]
    grades: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Regressed:
    """Spearman's correlation on test, and the strength chosen on dev."""

    correlation: float
    strength: float


def pair_features(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return |u - v| and u * v side by side, of unit vectors, so that the products sum to cosine.

    [rows, hidden] twice -> [rows, 2 * hidden]. Tai et al. 2015, Improved semantic representations
    from tree-structured long short-term memory networks, whose features SentEval (Conneau and
    Kiela 2018) took over.
    """
    u, v = unit(left), unit(right)
    return np.concatenate([np.abs(u - v), u * v], axis=1)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors [rows, hidden] to length 1; a vector of zeros stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled = vectors / np.where(norms == 0, 1, norms)
    return scaled.astype(np.float32, copy=False)


def regress(
    train: Graded, dev: Graded, test: Graded, strengths: Sequence[float] = STRENGTHS
) -> Regressed:
    """Fit ridge regressions on train, keep the strength that dev likes best, and judge test.

    Features are standardised by train. Of equals on dev the first of `strengths` is kept.
    """
    fitted, chosen, judged = standardise(train.features, dev.features, test.features)
    weights = ridge(fitted, train.grades, strengths)
    on_dev = [spearman(chosen @ each, dev.grades) for each in weights]
    best = max(range(len(strengths)), key=lambda place: on_dev[place])
    return Regressed(
        correlation=spearman(judged @ weights[best], test.grades), strength=strengths[best]
    )


def ridge(features: Floats, grades: Floats, strengths: Sequence[float]) -> list[Floats]:
    """Return for each strength the weights [features] of ridge regression on centred features.

    They minimise mean (x w - (y - mean y))^2 + strength * |w|^2 (Hoerl and Kennard 1970, Ridge
    regression), all strengths from one decomposition of the features' covariance.
    """
    rows = len(features)
    values, vectors = np.linalg.eigh(features.T @ features / rows)
    projected = vectors.T @ (features.T @ (grades - grades.mean()) / rows)
    return [vectors @ (projected / (np.maximum(values, 0) + each)) for each in strengths]


def spearman(found: NDArray[np.floating], grades: NDArray[np.floating]) -> float:
    """Return Spearman's rank correlation, equal values at their mean rank; 0 where one is constant.

    Spearman 1904, The proof and measurement of association between two things.
    """
    # What rounding alone makes different is equal.
    ranks = [rankdata(np.round(found, 12)), rankdata(grades)]
    x, y = (each - each.mean() for each in ranks)
    length = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / length if length else 0.0
