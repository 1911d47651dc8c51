"""Chart: gains and losses of every query against the baseline, sorted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.report.charts.labels import label
from eval.report.charts.style import GAIN, INK, LOSS, QUIET, score_axis, svg
from eval.report.verdict import baseline, compared
from eval.results import Comparison, Experiment, SystemResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BARS = 400  # more than a panel has points across


def differences(experiment: Experiment, system: SystemResult) -> dict[str, float]:
    """Return system minus baseline on the first measure, by query."""
    measure = experiment.measures[0]
    mine, other = system.per_query[measure], baseline(experiment).per_query[measure]
    return {query: mine.get(query, 0.0) - other.get(query, 0.0) for query in experiment.queries}


def gains(experiment: Experiment) -> str:
    """Draw a panel a system, two side by side, all to one scale; gains to the left."""
    pairs = compared(experiment)
    across = min(len(pairs), 2)
    down = -(-len(pairs) // 2) if across else 0
    changes = [sorted(differences(experiment, each).values(), reverse=True) for each, _ in pairs]
    reach = max((abs(value) for values in changes for value in values), default=0.0) or 1.0

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(down, across, squeeze=False, sharey=True)
        panels: list[Axes] = list(grid.flat)
        for panel, (system, comparison), values in zip(panels, pairs, changes, strict=False):
            _panel(panel, values, label(system.name), comparison)
            panel.set_ylim(-1.08 * reach, 1.08 * reach)
            score_axis(panel, "y")
        for panel in panels[len(pairs) :]:
            panel.set_visible(False)
        figure.supylabel(f"difference in {experiment.measures[0]}", fontsize="medium")

    lines = max((label(system.name).count("\n") for system, _ in pairs), default=0)
    return svg("gains", 0.2 + down * (2.0 + 0.15 * lines), draw)


def _panel(axes: "Axes", values: Sequence[float], name: str, comparison: Comparison) -> None:
    shown = _thinned(values)
    edges = [place * len(values) / len(shown) for place in range(len(shown) + 1)]
    gained = [max(value, 0.0) for value in shown]
    lost = [min(value, 0.0) for value in shown]
    axes.stairs(gained, edges, fill=True, color=GAIN)
    axes.stairs(lost, edges, fill=True, color=LOSS)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_title(name, loc="left", fontsize="medium", fontweight="bold", pad=19)
    counts = f"{comparison.wins} better, {comparison.ties} equal, {comparison.losses} worse"
    axes.annotate(
        counts, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points",
        color=QUIET, fontsize="small",
    )  # fmt: skip
    axes.set_xlim(0, max(len(values), 1))
    axes.grid(visible=False, axis="x")
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _thinned(values: Sequence[float]) -> Sequence[float]:
    """Keep every n-th of very many sorted values, first and last included."""
    if len(values) <= _BARS:
        return values
    return [values[round(at * (len(values) - 1) / (_BARS - 1))] for at in range(_BARS)]
