"""A linear classifier on frozen vectors: multinomial logistic regression, fitted to its optimum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

# Dense [rows, features], or one of scipy's sparse arrays of that shape.
Features: TypeAlias = Any
Floats: TypeAlias = NDArray[np.float64]

STRENGTHS = (10.0, 1.0, 1e-1, 1e-2, 1e-3)
_GRADIENT = 1e-5
_MOST_STEPS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Features of rows [rows, features], and the numbers of their classes [rows].

    A class of -1 is one that no row to fit on has, so that no prediction of it is right.
    """

    features: Features
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """Which test rows the chosen classifier got right [rows], and the strength chosen on dev."""

    right: NDArray[np.bool_]
    strength: float


def standardise(*parts: NDArray[Any]) -> list[Floats]:
    """Scale features by mean and deviation of the first part; constant ones become 0."""
    first = np.asarray(parts[0], dtype=np.float64)
    mean, deviation = first.mean(0), first.std(0)
    # A constant feature's deviation is rounding, not 0.
    constant = deviation <= 1e-6 * np.abs(mean) + 1e-12
    scale = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))
    return [(np.asarray(part, dtype=np.float64) - mean) * scale for part in parts]


def classify(
    train: Labelled, dev: Labelled, test: Labelled, strengths: Sequence[float] = STRENGTHS
) -> Classified:
    """Fit on train with each strength, keep what dev likes best, and say how test went.

    Of equals on dev the strongest regularisation is kept. `strengths` fall: each fit begins at
    the one before, which changes how long it takes and not where it ends.
    """
    weights: Floats | None = None
    best: tuple[float, float, Floats] | None = None
    for strength in strengths:
        weights = fit(train, strength, weights)
        accuracy = float(np.mean(predict(dev.features, weights) == dev.classes))
        if best is None or accuracy > best[0]:
            best = (accuracy, strength, weights)
    if best is None:
        raise AssertionError("there are no strengths")
    right = predict(test.features, best[2]) == test.classes
    return Classified(right=right, strength=best[1])


def fit(train: Labelled, strength: float, start: Floats | None = None) -> Floats:
    """Return the weights [features + 1, classes] that minimise the regularised cross-entropy.

    mean over rows of -log softmax(x W + b)[class] + strength / 2 * |W|^2; the last row is b, which
    is not regularised. By L-BFGS (Liu and Nocedal 1989, On the limited memory BFGS method for
    large scale optimization); the function is convex, so there is one optimum.
    """
    shape = train.features.shape[1] + 1, int(train.classes.max()) + 1
    begin = np.zeros(shape) if start is None else start
    found = minimize(
        lambda flat: _loss(flat.reshape(shape), train, strength),
        begin.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": _GRADIENT, "ftol": 0.0, "maxiter": _MOST_STEPS, "maxfun": 2 * _MOST_STEPS},
    )
    weights: Floats = found.x.reshape(shape)
    return weights


def _loss(weights: Floats, train: Labelled, strength: float) -> tuple[float, Floats]:
    """Return the function that `fit` minimises and its gradient."""
    rows = np.arange(len(train.classes))
    scores = train.features @ weights[:-1] + weights[-1]  # [rows, classes]
    scores -= scores.max(1, keepdims=True)
    sums = np.exp(scores).sum(1)
    cross_entropy = float(np.mean(np.log(sums) - scores[rows, train.classes]))
    error = np.exp(scores) / sums[:, None]
    error[rows, train.classes] -= 1.0
    error /= len(rows)
    gradient = np.vstack([train.features.T @ error + strength * weights[:-1], error.sum(0)])
    return cross_entropy + strength / 2 * float(np.sum(weights[:-1] ** 2)), gradient.ravel()


def predict(features: Features, weights: Floats) -> NDArray[np.int64]:
    """Return the number of each row's likeliest class, the first of equals."""
    classes: NDArray[np.int64] = np.argmax(features @ weights[:-1] + weights[-1], axis=1)
    return classes
