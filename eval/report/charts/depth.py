"""Chart: recall at depth."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from eval.report.charts.labels import label
from eval.report.charts.style import pens, score_axis, svg
from eval.report.verdict import ordered
from eval.results import Experiment
from eval.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(experiment: Experiment) -> dict[str, dict[int, float]]:
    """Return recall by depth of every system, each to the first depth that holds all of its run."""
    from eval.measures import recall_curve

    found = {}
    for system in ordered(experiment):
        curve = _cut(recall_curve(experiment.qrels, system.run), system.run)
        if curve:
            found[system.name] = curve
    return found


def _cut(curve: Mapping[int, float], run: Run) -> dict[int, float]:
    longest = max(map(len, run.ranked.values()), default=0)
    last = min((depth for depth in curve if depth >= longest), default=longest)
    return {
        depth: recall
        for depth, recall in sorted(curve.items())
        if longest and depth <= last and math.isfinite(recall)
    }


def depth(found: Mapping[str, Mapping[int, float]], experiment: Experiment) -> str:
    """Draw a line a system over a logarithmic depth; its legend beside it."""
    drawn = pens(experiment)
    names = {name: label(name) for name in found}
    lines = sum(1 + text.count("\n") for text in names.values())
    depths = sorted({each for curve in found.values() for each in curve})

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        for name, curve in found.items():
            pen = drawn[name]
            axes.plot(
                list(curve), list(curve.values()), color=pen.color, linestyle=pen.dashes,
                linewidth=1.6, marker=pen.marker, markersize=5.5, markerfacecolor=pen.fill,
                label=names[name],
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(depths, [f"{each:,}" for each in depths])
        axes.minorticks_off()
        axes.set_xlabel("depth: documents from the top")
        axes.set_ylabel("recall")
        axes.set_ylim(0, 1.02)
        score_axis(axes, "y")
        # A name that begins with _ has to be in the legend too, so the lines are handed over.
        figure.legend(
            list(axes.lines), list(names.values()), loc="outside right upper",
            frameon=False, handlelength=3.2, labelspacing=0.7,
        )  # fmt: skip

    return svg("depth", max(3.4, 0.5 + lines * 0.21), draw)
