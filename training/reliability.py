"""How far probabilities can be believed: held against what came true, in figures and a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eval.report.charts.style import GAIN, LOSS, QUIET, RULE, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 15
PICTURE = "reliability.png"
_HEIGHT = 4.6  # inches
# Areas of dots in square points: of the fullest bin, and the least that is seen well.
_MOST_DOT, _LEAST_DOT = 55.0, 12.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Pairs of like probability: its mean, the share that is relevant, and how many they are."""

    probability: float
    relevant: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """What probabilities are worth: expected calibration error, Brier score, and their bins."""

    ece: float
    brier: float
    bins: tuple[Bin, ...]


def reliability(probabilities: Floats, relevant: NDArray[np.bool_]) -> Reliability:
    """Measure probabilities against what is relevant, [pairs] each.

    The expected calibration error (Guo et al., 2017, "On calibration of modern neural networks") is
    the mean over the pairs of how far their bin's mean probability is from its share of relevant
    ones, in 15 bins of equal mass, since most pairs are improbable; equal probabilities share a
    bin. Both it and the Brier score (1950), the mean squared error, are 0 at best.
    """
    bins = _bins(probabilities, relevant)
    apart = sum(abs(each.probability - each.relevant) * each.count for each in bins)
    return Reliability(
        ece=apart / len(probabilities),
        brier=float(np.mean((probabilities - relevant) ** 2)),
        bins=bins,
    )


def _bins(probabilities: Floats, relevant: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Put pairs into bins by the middle rank of those that are equally probable."""
    _, which, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    chosen = (middle * BINS / len(probabilities)).astype(np.int64)[which]
    return tuple(
        Bin(
            probability=float(probabilities[inside].mean()),
            relevant=float(relevant[inside].mean()),
            count=int(inside.sum()),
        )
        for number in range(BINS)
        if (inside := chosen == number).any()
    )


def draw_reliability(before: Reliability, after: Reliability, path: Path) -> None:
    """Draw both as bins, mean probability against share relevant, into a PNG file.

    The axes are square roots, for most bins stand near 0; a dot's area is its number of pairs.
    """

    def fill(page: "Figure") -> None:
        axes = page.add_subplot()
        axes.set_title("probability against relevance, held out", loc="left", fontsize=10)
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)))
        most = max(each.count for each in (*before.bins, *after.bins))
        _dots(axes, before.bins, most, LOSS, f"before: sigmoid of the score, ECE {before.ece:.3f}")
        _dots(axes, after.bins, most, GAIN, f"calibrated, ECE {after.ece:.3f}")
        axes.set_xlabel("mean probability of a bin (scale of square roots)")
        axes.set_ylabel("share relevant")
        for scale, limit in ((axes.set_xscale, axes.set_xlim), (axes.set_yscale, axes.set_ylim)):
            scale("function", functions=(_root, np.square))
            limit(0.0, 1.02)
        ticks = [0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0]
        axes.set_xticks(ticks, [f"{each:g}" for each in ticks])
        axes.set_yticks(ticks, [f"{each:g}" for each in ticks])
        axes.grid(visible=True, color=RULE)
        axes.legend(frameon=False, loc="upper left")

    png(str(path), _HEIGHT, fill)


def _root(values: Floats) -> Floats:
    return np.sqrt(np.clip(values, 0.0, None))


def _dots(axes: "Axes", bins: Sequence[Bin], most: int, color: str, label: str) -> None:
    xs, ys = [each.probability for each in bins], [each.relevant for each in bins]
    axes.plot(xs, ys, color=color, linewidth=1.0)
    sizes = [max(_LEAST_DOT, _MOST_DOT * each.count / most) for each in bins]
    axes.scatter(xs, ys, s=sizes, color=color, label=label, zorder=3, clip_on=False)
