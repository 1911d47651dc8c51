"""Latency and answers by load, as a PNG file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eval.report.charts.style import GAIN, INK, LOSS, QUIET, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 5.6  # inches
_RANKS = (("p50", "o", "-"), ("p95", "s", (0, (5, 1.6))), ("p99", "^", (0, (1.4, 1.4))))
_BAR = 0.36


def serving_chart(found: Mapping[str, Any], path: str) -> None:
    """Draw what `bench_serve` returns: latency by load above, answers and refusals below."""

    def draw(figure: "Figure") -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        capacity = found["capacity_per_second"]
        above.set_title(
            f"latency by load, waiting counted; 100% is {capacity:,.0f} queries a second",
            loc="left", fontsize=10,
        )  # fmt: skip
        _latency(above, found)
        _answers(below, found)
        shares = [f"{level['share']:.0%}" for level in found["levels"]]
        below.set_xticks(range(len(shares)), shares)
        below.set_xlabel("offered load")

    png(path, _HEIGHT, draw)


def _latency(axes: "Axes", found: Mapping[str, Any]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    levels = found["levels"]
    for rank, marker, dashes in _RANKS:
        values = [_of(level["accepted_ms"], rank) for level in levels]
        axes.plot(
            range(len(levels)), values, color=GAIN, marker=marker, linestyle=dashes,
            label=f"answered, {rank}",
        )  # fmt: skip
    axes.plot(
        range(len(levels)), [_of(level["refused_ms"], "p99") for level in levels],
        color=LOSS, marker="D", linestyle="none", label="429, p99",
    )  # fmt: skip
    axes.axhline(
        found["one_client"]["ms"]["server"]["p50"], color=QUIET, linewidth=1,
        linestyle=(0, (5, 3)), label="one client, p50",
    )  # fmt: skip
    axes.set_ylabel("milliseconds")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.legend(frameon=False, fontsize=8, ncols=2)


def _answers(axes: "Axes", found: Mapping[str, Any]) -> None:
    levels = found["levels"]
    seconds = found["seconds"] * found["rounds"]
    places = range(len(levels))
    axes.bar(
        [place - _BAR / 2 for place in places], [level["accepted_per_second"] for level in levels],
        _BAR, color=GAIN, label="answered",
    )  # fmt: skip
    axes.bar(
        [place + _BAR / 2 for place in places], [level["refused"] / seconds for level in levels],
        _BAR, color=LOSS, label="429",
    )  # fmt: skip
    axes.axhline(found["capacity_per_second"], color=INK, linewidth=1, linestyle=(0, (5, 3)))
    axes.set_ylabel("requests a second")
    axes.legend(frameon=False, fontsize=8)


def _of(spread: Mapping[str, float] | None, rank: str) -> float:
    return spread[rank] if spread else float("nan")
