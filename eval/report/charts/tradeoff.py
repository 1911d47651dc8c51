"""Chart: quality against latency."""

import math
from typing import TYPE_CHECKING

from eval.report.charts.labels import Box, label, place
from eval.report.charts.style import QUIET, pens, score_axis, svg
from eval.report.notation import three_digits
from eval.report.verdict import ordered
from eval.results import Experiment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def latencies(experiment: Experiment) -> dict[str, tuple[float, float]]:
    """Return (median milliseconds, first measure) of the systems that were timed."""
    measure = experiment.measures[0]
    return {
        system.name: (system.cost.latency_ms["p50"], system.means[measure])
        for system in ordered(experiment)
        if system.cost and system.cost.latency_ms.get("p50", 0.0) > 0
    }


def tradeoff(found: dict[str, tuple[float, float]], experiment: Experiment) -> str:
    """Draw a point a system over logarithmic latency, its name beside it; left and up is better."""
    drawn = pens(experiment)

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        for name, point in found.items():
            pen = drawn[name]
            axes.plot(
                *point, color=pen.color, marker=pen.marker, markersize=8, linestyle="",
                markerfacecolor=pen.fill, markeredgewidth=1.4,
            )  # fmt: skip
        axes.set_xscale("log")
        _set_limits(axes, found)
        axes.set_xlabel("median latency in milliseconds, one query at a time")
        axes.set_ylabel(experiment.measures[0])
        score_axis(axes, "y")
        _name_points(figure, found)

    return svg("tradeoff", max(3.6, 2.4 + 0.25 * len(found)), draw)


def _set_limits(axes: "Axes", found: dict[str, tuple[float, float]]) -> None:
    """Leave room around the points, and put ticks at 1, 2 and 5 of each power of ten."""
    times = [time for time, _ in found.values()]
    low, high = min(times) / 1.6, max(times) * 1.6
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 1000 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(ticks, [_millisecond(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(low, high)
    scores = [score for _, score in found.values()]
    room = max(0.18 * (max(scores) - min(scores)), 0.01)
    axes.set_ylim(min(scores) - room, max(scores) + room)


def _millisecond(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else three_digits(value) if value >= 0.01 else f"{value:g}"


def _name_points(figure: "Figure", found: dict[str, tuple[float, float]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    axes = figure.axes[0]
    FigureCanvasAgg(figure)  # the canvas for SVG can't measure text
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # from here on a point of the data stays where it is
    points = [tuple(axes.transData.transform(point)) for point in found.values()]
    texts = [figure.text(0, 0, label(name), linespacing=1.05) for name in found]
    sizes = [(box.width, box.height) for box in (text.get_window_extent() for text in texts)]
    inside = axes.get_window_extent()
    bounds = Box(inside.x0 + 2, inside.y0 + 2, inside.x1, inside.y1)
    for text, box, point in zip(texts, place(points, sizes, bounds), points, strict=True):
        text.remove()
        near = box.overlap(Box(point[0] - 14, point[1] - 14, point[0] + 14, point[1] + 14))
        axes.annotate(
            text.get_text(), point, xycoords="figure pixels",
            xytext=((box.left + box.right) / 2, (box.bottom + box.top) / 2),
            textcoords="figure pixels", ha="center", va="center", linespacing=1.05,
            arrowprops=None if near else {"arrowstyle": "-", "color": QUIET, "linewidth": 0.6,
                                         "shrinkA": 0, "shrinkB": 5},
        )  # fmt: skip
