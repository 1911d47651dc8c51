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


def draw_curve(events: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the training loss as a line and the held-out loss as points, from a journal's events.

    A dashed line stands where a phase begins; the last held-out loss is written at its point.
    """
    train = [event for event in events if event["kind"] == "train"]
    held_out = [event for event in events if event["kind"] == "held_out" and "loss" in event]
    if not train:
        return

    def fill(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.set_title("loss while training", loc="left", fontsize=10)
        axes.plot(*_points(train), color=QUIET, linewidth=1.0, label="training")
        if held_out:
            axes.plot(*_points(held_out), color=GAIN, marker="o", markersize=4, label="held out")
            _name_last(axes, held_out[-1])
        for before, after in pairwise(train):
            if after["phase"] != before["phase"]:
                axes.axvline(before["tokens"] / _MILLION, color=LOSS, linestyle=(0, (4, 3)))
        axes.set_xlabel("million tokens")
        axes.set_ylabel("loss, nats")
        axes.legend(frameon=False)
        axes.margins(x=0.08)

    png(str(path), _HEIGHT, fill)


def _points(events: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    return (
        [event["tokens"] / _MILLION for event in events],
        [event["loss"] for event in events],
    )


def _name_last(axes: "Axes", event: Mapping[str, Any]) -> None:
    point = (event["tokens"] / _MILLION, event["loss"])
    axes.annotate(
        f"{event['loss']:.3f}", point, xytext=(0, 8), textcoords="offset points", color=GAIN,
        ha="center",
    )  # fmt: skip
