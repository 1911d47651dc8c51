"""Chart: the first measure of every system with its 95% interval."""

from typing import TYPE_CHECKING

from eval.report.charts.labels import label
from eval.report.charts.style import QUIET, pens, score_axis, svg
from eval.report.notation import decimal
from eval.report.verdict import baseline, ordered
from eval.results import Experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def intervals(experiment: Experiment) -> str:
    """Draw a row a system, best on top, and a dotted line at the baseline's mean."""
    systems = ordered(experiment)
    names = [label(system.name) for system in systems]
    row = 0.44 if any("\n" in name for name in names) else 0.34
    measure, drawn = experiment.measures[0], pens(experiment)

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.axvline(baseline(experiment).means[measure], color=QUIET, linestyle=":", linewidth=1.2)
        for place, system in enumerate(systems):
            pen, mean = drawn[system.name], system.means[measure]
            low, high = system.ci95[measure]
            axes.plot([low, high], [place, place], color=pen.color, linewidth=1.8)
            axes.plot(
                [low, high], [place, place], color=pen.color, marker="|", markersize=7, linestyle=""
            )
            axes.plot(
                mean, place, color=pen.color, marker=pen.marker, markersize=7.5,
                markerfacecolor=pen.fill, markeredgewidth=1.4,
            )  # fmt: skip
            axes.annotate(
                decimal(mean), (1, place), xycoords=("axes fraction", "data"), xytext=(8, 0),
                textcoords="offset points", va="center", fontweight="bold" if not place else None,
            )  # fmt: skip
        axes.set_yticks(range(len(systems)), names)
        axes.set_ylim(len(systems) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{measure}, mean and 95% interval")
        score_axis(axes, "x")

    return svg("intervals", 0.7 + row * len(systems), draw)
