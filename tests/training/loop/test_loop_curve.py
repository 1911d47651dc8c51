"""The picture of a run: nothing lies over a curve, one grid, scales by what they show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.loop.curve import draw_curve

# A loss that falls and a figure that rises to the upper right, where a legend would stand.
EVENTS: list[dict[str, Any]] = [
    {"kind": "train", "tokens": step * 10_000, "loss": 3 - step / 10, "phase": 0}
    for step in range(1, 21)
] + [
    {"kind": "held_out", "tokens": step * 20_000, "loss": 2.9 - step / 6, "ndcg@10": step / 12}
    for step in range(11)
]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Figure:
    """The figure that is drawn instead of written."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)

    def draw(path: str, height: float, fill: Callable[[Figure], None]) -> None:
        fill(figure)
        figure.canvas.draw()

    monkeypatch.setattr("training.loop.curve.png", draw)
    return figure


@pytest.mark.parametrize("figure", [None, "ndcg@10"])
def test_the_legend_lies_over_no_curve(page: Figure, tmp_path: Path, figure: str | None) -> None:
    draw_curve(EVENTS, tmp_path / "loss.png", figure)
    legend = page.axes[0].get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["training", "held out, ndcg@10" if figure else "held out"]
    inside = page.axes[0].get_window_extent()
    box = legend.get_window_extent()
    assert not inside.shrunk(0.999, 0.999).overlaps(box)
    assert page.bbox.containsx(box.x0) and page.bbox.containsx(box.x1)
    assert box.x0 > page.axes[0]._left_title.get_window_extent().x1  # type: ignore[attr-defined]


def test_a_figure_has_its_own_scale_and_no_grid_of_its_own(page: Figure, tmp_path: Path) -> None:
    draw_curve(EVENTS, tmp_path / "loss.png", "ndcg@10")
    left, right = page.axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss", "ndcg@10")
    assert not any(line.get_visible() for line in right.get_ygridlines())
    assert right.get_ylim()[1] < 1 < left.get_ylim()[1]
    assert [text.get_text() for text in right.texts] == ["0.833"]


def test_a_held_out_loss_shares_the_scale_of_training(page: Figure, tmp_path: Path) -> None:
    draw_curve(EVENTS, tmp_path / "loss.png")
    (axes,) = page.axes
    assert len(axes.get_lines()) == 2
    assert [text.get_text() for text in axes.texts] == ["1.233"]
