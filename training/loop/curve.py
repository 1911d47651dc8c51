"""The losses of a run over its tokens, as a picture."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.report.charts.style import GAIN, LOSS, QUIET, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 4.2  # inches
_MILLION = 1e6


def draw_curve(events: Sequence[Mapping[str, Any]], path: Path, figure: str | None = None) -> None:
    """Draw the training loss as a line and the held-out loss as points, from a journal's events.

    A dashed line stands where a phase begins; the last held-out loss is written at its point. With
    `figure` that held-out figure is drawn instead of the loss, by a scale of its own at the right.
    """
    train = [event for event in events if event["kind"] == "train"]
    shown = figure or "loss"
    held_out = [event for event in events if event["kind"] == "held_out" and shown in event]
    if not train:
        return

    def fill(page: "Figure") -> None:
        axes = page.add_subplot()
        axes.set_title("loss while training", loc="left", fontsize=10)
        lines = axes.plot(*_points(train, "loss"), color=QUIET, linewidth=1.0, label="training")
        if held_out:
            other = _right_of(axes, figure) if figure else axes
            name = f"held out, {figure}" if figure else "held out"
            lines += other.plot(
                *_points(held_out, shown), color=GAIN, marker="o", markersize=4, label=name
            )
            _name_last(other, held_out[-1], shown)
            other.margins(y=0.12)  # room for its number above the highest
        for before, after in pairwise(train):
            if after["phase"] != before["phase"]:
                axes.axvline(before["tokens"] / _MILLION, color=LOSS, linestyle=(0, (4, 3)))
        axes.set_xlabel("million tokens")
        axes.set_ylabel("loss")
        # Beside the title, where it lies over no curve.
        axes.legend(
            handles=lines, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2,
            borderaxespad=0,
        )  # fmt: skip
        axes.margins(x=0.08)

    png(str(path), _HEIGHT, fill)


def _right_of(axes: "Axes", figure: str) -> "Axes":
    """Return axes with a scale at the right, and no grid, which would run between the other's."""
    other = axes.twinx()
    other.grid(visible=False)
    other.set_ylabel(figure, color=GAIN)
    return other


def _points(events: Sequence[Mapping[str, Any]], figure: str) -> tuple[list[float], list[float]]:
    return (
        [event["tokens"] / _MILLION for event in events],
        [event[figure] for event in events],
    )


def _name_last(axes: "Axes", event: Mapping[str, Any], figure: str) -> None:
    point = (event["tokens"] / _MILLION, event[figure])
    axes.annotate(
        f"{event[figure]:.3f}", point, xytext=(0, 8), textcoords="offset points", color=GAIN,
        ha="center",
    )  # fmt: skip
