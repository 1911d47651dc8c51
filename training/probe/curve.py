"""What a probe finds: a figure for every layer, task by task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Z = 1.959964  # of 95%


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A layer's figure, half the width of its 95% interval, and the strength chosen on dev."""

    value: float
    half_width: float
    strength: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A task's figures, those of the embeddings first, and what they are to be compared with.

    `split` is what the figures are of; `rows` counts what was fitted on, chosen on and judged.
    `majority` is the figure of the most frequent class, None where there are no classes; `words`
    that of a bag of words.
    """

    task: str
    measure: str
    split: str
    rows: tuple[int, int, int]
    figures: Sequence[Figure]
    majority: float | None
    words: float

    @property
    def best(self) -> int:
        """The layer with the highest figure, the lowest of equals."""
        values = [each.value for each in self.figures]
        return values.index(max(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """All curves of a model, and how they came about."""

    model: str
    content_hash: str
    precision: str
    layers: int
    curves: Sequence[Curve]
    left_out: Sequence[str]
    tokens: int
    truncated: int
    seconds: float


def of_mean(values: NDArray[np.floating] | NDArray[np.bool_], strength: float | None) -> Figure:
    """Return the mean of values of single rows, its interval by the normal approximation."""
    spread = float(np.std(values)) / math.sqrt(len(values))
    return Figure(value=float(np.mean(values)), half_width=_Z * spread, strength=strength)


def of_correlation(value: float, rows: int, strength: float | None) -> Figure:
    """Return Spearman's correlation of so many pairs, its interval by Fisher's transformation.

    Its variance there is (1 + r^2 / 2) / (n - 3): Bonett and Wright 2000, Sample size
    requirements for estimating Pearson, Kendall and Spearman correlations.
    """
    spread = math.sqrt((1 + value**2 / 2) / max(rows - 3, 1))
    return Figure(value=value, half_width=_Z * spread * (1 - value**2), strength=strength)
