"""A report's charts as SVG; a chart that lacks its data is a sentence instead."""

from dataclasses import dataclass

from eval.report.charts.depth import curves, depth
from eval.report.charts.gains import gains
from eval.report.charts.intervals import intervals
from eval.report.charts.tradeoff import latencies, tradeoff
from eval.report.notation import printable
from eval.report.verdict import compared
from eval.results import Experiment

NAMES = ("intervals", "gains", "depth", "tradeoff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart by name; `svg` is None where data are missing, and `caption` says which."""

    name: str
    title: str
    caption: str
    svg: str | None


def draw_charts(experiment: Experiment) -> tuple[Chart, ...]:
    """Draw all charts of `NAMES`, in this order."""
    return (
        _intervals(experiment),
        _gains(experiment),
        _depth(experiment),
        _tradeoff(experiment),
    )


def _intervals(experiment: Experiment) -> Chart:
    return Chart(
        name="intervals",
        title=f"{experiment.measures[0]} by system",
        caption="Bootstrap intervals over queries. Each is of one system alone: two that overlap "
        "may still differ, since the tests compare query by query.",
        svg=intervals(experiment),
    )


def _gains(experiment: Experiment) -> Chart:
    some = bool(compared(experiment))
    caption = (
        f"Each query's {experiment.measures[0]} minus that of {printable(experiment.baseline)}, "
        "largest gain to the left, largest loss to the right."
        if some
        else "Left out: there is no other system to compare with."
    )
    return Chart(
        name="gains",
        title="Gains and losses by query",
        caption=caption,
        svg=gains(experiment) if some else None,
    )


def _depth(experiment: Experiment) -> Chart:
    found = curves(experiment)
    caption = (
        "Share of the relevant documents among the first results, mean over queries; a line ends "
        "where its run does."
        if found
        else "Left out: no run has results, or nothing is judged relevant."
    )
    return Chart(
        name="depth",
        title="Recall at depth",
        caption=caption,
        svg=depth(found, experiment) if found else None,
    )


def _tradeoff(experiment: Experiment) -> Chart:
    found = latencies(experiment)
    untimed = [printable(s.name) for s in experiment.systems if s.name not in found]
    missing = f" Not timed: {', '.join(untimed)}." if untimed else ""
    if len(found) < 2:
        why = "no system was timed" if not found else "only one system was timed"
        return Chart(
            name="tradeoff", title="Quality against latency", caption=f"Left out: {why}.", svg=None
        )
    return Chart(
        name="tradeoff",
        title="Quality against latency",
        caption=f"Up is better, left is faster.{missing}",
        svg=tradeoff(found, experiment),
    )
