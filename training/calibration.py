"""Scores into probabilities: a curve fitted on held-out pairs, the better of two kinds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.runtime.probability import Calibration, Curve, Points, Sigmoid
from training.reliability import Floats, Reliability, reliability

SIGMOID, ISOTONIC = "sigmoid", "isotonic"
FOLDS = 5

Flags = NDArray[np.bool_]
Fit = Callable[[Floats, Flags], Curve]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Held-out pairs: scores, whether they are relevant, and the number of their query, [pairs]."""

    scores: Floats
    relevant: Flags
    queries: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A calibration, the `method` that was chosen, and what it is worth.

    `before` is that of the scores' plain sigmoid, `after` that of each kind of curve on pairs that
    it was not fitted on.
    """

    calibration: Calibration
    method: str
    pairs: int
    before: Reliability
    after: dict[str, Reliability]


def calibrate(scored: Scored) -> Calibrated | None:
    """Fit a sigmoid and an isotonic curve, and keep the one of less calibration error.

    Each is judged by cross-validation: fitted on four fifths of the queries, held against the rest.
    The one kept is then fitted on all. None where there are fewer than 5 queries, or where a part
    of them lacks relevant pairs, or others.
    """
    folds = _folds(scored)
    if folds is None:
        return None
    after = {
        method: reliability(_cross_fitted(fit, scored, folds), scored.relevant)
        for method, fit in FITS.items()
    }
    method = min(FITS, key=lambda each: after[each].ece)
    curve = FITS[method](scored.scores, scored.relevant)
    plain = Sigmoid(slope=1.0, intercept=0.0)
    return Calibrated(
        calibration=Calibration(curve=curve, prior=float(scored.relevant.mean())),
        method=method,
        pairs=len(scored.scores),
        before=reliability(probabilities(plain, scored.scores), scored.relevant),
        after=after,
    )


def probabilities(curve: Curve, scores: Floats) -> Floats:
    """Return the probability at each score, [pairs]."""
    return np.array([curve(score) for score in scores.tolist()])


def fit_sigmoid(scores: Floats, relevant: Flags) -> Sigmoid:
    """Fit 1 / (1 + exp(-(a s + b))) by maximum likelihood, a >= 0: a temperature and a bias.

    Platt, 1999, "Probabilistic outputs for support vector machines": with n relevant pairs and m
    others the targets are (n + 1) / (n + 2) and 1 / (m + 2), so that no a is infinite.
    """
    from scipy.optimize import minimize

    low, high = _bounds(relevant)
    targets = np.where(relevant, high, low)
    middle, spread = float(scores.mean()), float(scores.std()) or 1.0
    scaled = (scores - middle) / spread

    def loss(parameters: Floats) -> tuple[float, Floats]:
        logits = parameters[0] * scaled + parameters[1]
        errors = 1 / (1 + np.exp(-np.clip(logits, -700, 700))) - targets
        value = np.mean(np.logaddexp(0, logits) - targets * logits)
        return float(value), np.array([np.mean(errors * scaled), np.mean(errors)])

    share = float(targets.mean())
    start = np.array([0.0, np.log(share / (1 - share))])
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)],
        options={"ftol": 1e-14, "gtol": 1e-10},
    ).x  # fmt: skip
    slope = float(found[0]) / spread
    return Sigmoid(slope=slope, intercept=float(found[1]) - slope * middle)


def fit_points(scores: Floats, relevant: Flags) -> Points:
    """Fit the curve of least squares among those that never fall: isotonic regression.

    Barlow et al., 1972, by pooling adjacent violators; Zadrozny and Elkan, 2002, "Transforming
    classifier scores into accurate multiclass probability estimates". Pairs of equal score are one
    point, each level gives its first and its last score, and lines go between levels. What it takes
    for certain is drawn in to Platt's targets.
    """
    from scipy.optimize import isotonic_regression

    distinct, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    shares = np.bincount(which, weights=relevant) / counts
    levels = np.clip(isotonic_regression(shares, weights=counts).x, *_bounds(relevant))
    inner = levels[1:] != levels[:-1]
    kept = np.concatenate([[True], inner]) | np.concatenate([inner, [True]])
    if not inner.any() and len(distinct) == 1:  # one point is no curve
        distinct, levels, kept = np.append(distinct, distinct + 1), levels.repeat(2), kept.repeat(2)
    return Points(scores=tuple(distinct[kept].tolist()), probabilities=tuple(levels[kept].tolist()))


FITS: dict[str, Fit] = {SIGMOID: fit_sigmoid, ISOTONIC: fit_points}


def _bounds(relevant: Flags) -> tuple[float, float]:
    """Return the least and the greatest probability that so many pairs can tell (Platt, 1999)."""
    count = int(relevant.sum())
    return 1 / (len(relevant) - count + 2), (count + 1) / (count + 2)


def _folds(scored: Scored) -> Flags | None:
    """Tell which pairs are in each fold, [folds, pairs]; None where one can't be fitted without."""
    _, numbers = np.unique(scored.queries, return_inverse=True)
    folds = np.array([numbers % FOLDS == fold for fold in range(FOLDS)])
    rest = [scored.relevant[~fold] for fold in folds]
    if not all(fold.any() for fold in folds) or not all(0 < each.mean() < 1 for each in rest):
        return None
    return folds


def _cross_fitted(fit: Fit, scored: Scored, folds: Flags) -> Floats:
    """Return each pair's probability by the curve of the other folds, [pairs]."""
    found = np.empty(len(scored.scores))
    for fold in folds:
        curve = fit(scored.scores[~fold], scored.relevant[~fold])
        found[fold] = probabilities(curve, scored.scores[fold])
    return found
