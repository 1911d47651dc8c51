"""The picture of a probe: layers on x, a line for each task."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eval.report.charts.style import GAIN, LOSS, QUIET, png, score_axis
from eval.report.notation import elide
from training.probe.curve import Curve, Probe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 4.6  # inches
_PENS = ((GAIN, "o"), (LOSS, "s"), ("#009E73", "^"), ("#CC79A7", "D"), (QUIET, "v"))
# Where the figures of words alone stand, left of the layers.
_WORDS = -1.0
# Names at the ends of lines keep so far apart, as a share of the axis.
_APART = 0.1
_MOST_TICKS = 12


def draw(probe: Probe, path: str) -> None:
    """Draw a probe into a PNG file; what a bag of words reaches stands hollow left of layer 0.

    Bands are 95% intervals.
    """

    def fill(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.set_title(f"{elide(probe.model)}, layer by layer", loc="left", fontsize=10)
        for curve, (color, marker) in zip(probe.curves, _PENS, strict=False):
            _line(axes, curve, color, marker)
        layers = range(0, probe.layers + 1, -(-probe.layers // _MOST_TICKS))
        names = ["words\nalone", "0\nembeddings", *map(str, layers[1:])]
        axes.set_xticks([_WORDS, *layers], names)
        axes.set_xlabel("layer")
        score_axis(axes, "y")
        _name_ends(axes, probe)

    png(path, _HEIGHT, fill)


def _line(axes: "Axes", curve: Curve, color: str, marker: str) -> None:
    layers = range(len(curve.figures))
    values = np.array([each.value for each in curve.figures])
    widths = np.array([each.half_width for each in curve.figures])
    axes.fill_between(
        layers, values - widths, values + widths, color=color, alpha=0.13, linewidth=0
    )
    axes.plot(layers, values, color=color, marker=marker, markersize=4.5, linewidth=1.6)
    axes.plot(_WORDS, curve.words, color=color, marker=marker, markersize=5, markerfacecolor="none")


def _name_ends(axes: "Axes", probe: Probe) -> None:
    """Write each task's name and measure right of its line's end, none over another."""
    low, high = axes.get_ylim()
    curves = sorted(
        zip(probe.curves, _PENS, strict=False), key=lambda each: each[0].figures[-1].value
    )
    ends = [(curve.figures[-1].value - low) / (high - low) for curve, _ in curves]
    for (curve, (color, _)), height in zip(curves, _apart(ends), strict=True):
        axes.annotate(
            f"{elide(curve.task, 24)}\n{curve.measure}", (1.02, height), color=color,
            xycoords="axes fraction", va="center", annotation_clip=False, fontsize=8.5,
        )  # fmt: skip


def _apart(heights: Sequence[float]) -> list[float]:
    """Move ascending heights as one, none nearer to the next than names may be or above 1."""
    places: list[float] = []
    for height in heights:
        places.append(max(height, places[-1] + _APART) if places else height)
    # Back down by as much as they rose on average, else all names stand above their lines.
    fall = max((sum(places) - sum(heights)) / len(places), places[-1] - 1.0)
    return [place - fall for place in places]
