"""Charts of the benches, as PNG files: recall over time, and cost over size."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.report.charts.style import GAIN, INK, LOSS, QUIET, png
from indexer.errors import ClozeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 4.4  # inches
# The depth that recall is measured at.
_BEST = 10
_COLOURS = {"encode": QUIET, "lexical": "#009E73", "dense": LOSS, "hybrid": GAIN}
_MARKERS = {"encode": "D", "lexical": "^", "dense": "s", "hybrid": "o"}
# Labels of curves keep so far apart, in points.
_APART = 13.0


def check_plot(path: str) -> None:
    """Check where a chart is to go, before the work that it shows.

    Raises:
        ClozeError: the name does not end in .png, or its folder is not there.
    """
    if Path(path).suffix != ".png":
        raise ClozeError(f"--plot {path} must end in .png; name it so")
    if not Path(path).absolute().parent.is_dir():
        raise ClozeError(f"the folder of --plot {path} is not there; make it first")


def recall_chart(result: Mapping[str, Any], path: str) -> None:
    """Draw recall at ten over milliseconds from what `bench_dense` returns.

    The curve is what was measured when the index was built, of the FAISS index alone; the other
    points are whole searches of this run, with 95% intervals.
    """
    built = result["built"]
    curve = [(milliseconds, recall) for _, recall, milliseconds in built.get("curve", [])]

    def draw(axes: "Axes") -> None:
        axes.set_xscale("log")
        if curve:
            axes.plot(*zip(*curve, strict=True), color=GAIN, marker="o", markersize=3.5)
            _note(axes, curve[0], f"{built['factory']}, as built", GAIN, (8, -3), "left")
            wanted = built["wanted"]
            axes.axhline(wanted, color=INK, linewidth=1, linestyle=(0, (5, 3)))
            axes.annotate(
                f"target {wanted:g}", (0, wanted), xycoords=("axes fraction", "data"),
                xytext=(4, 4), textcoords="offset points",
            )  # fmt: skip
        for depth, recall in result["recall_at_10"].items():
            point = (result[f"{depth}_ms"]["p50"], recall["mean"])
            ends = [[point[1] - recall["low"]], [recall["high"] - point[1]]]
            axes.errorbar(*point, yerr=ends, color=LOSS, marker="s", capsize=3)
            best = int(depth.partition("_")[2])
            # The ten best are found sooner: their name is left of the point, the others' above.
            offset, side = ((-8.0, 3.0), "right") if best == _BEST else ((0.0, 8.0), "center")
            _note(axes, point, f"best {best:,}", LOSS, offset, side)
        flat = (result["flat_one_thread_ms"]["p50"], 1.0)
        axes.plot(*flat, color=INK, marker="D", markerfacecolor="white")
        _note(axes, flat, "flat scan, one thread", INK, (6, -18), "right")
        axes.set_xlabel("median milliseconds a query")
        axes.set_ylabel("recall at 10")
        lows = [recall["low"] for recall in result["recall_at_10"].values()]
        low = min([recall for _, recall in curve] + lows + [0.9])
        _stretch(axes, low - 0.2 * (1 - low))
        axes.margins(x=0.12)
        _plain(axes, "x")

    _draw(path, f"{result['passages']:,} vectors of {result['dimension']} dimensions", draw)


def growth_chart(result: Mapping[str, Any], path: str) -> None:
    """Draw milliseconds over documents from what `bench_growth` returns: medians, and p95 dashed.

    Both axes are logarithmic; each curve has its name at its end.
    """
    records = result["sizes"]
    sizes = [record["documents"] for record in records]

    def draw(axes: "Axes") -> None:
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = {}
        for stage, color in _COLOURS.items():
            for rank, dashes in (("p50", "-"), ("p95", (0, (2, 2)))):
                values = [record[f"{stage}_ms"][rank] for record in records]
                axes.plot(
                    sizes, values, color=color, linestyle=dashes, marker=_MARKERS[stage],
                    markersize=4.5 if rank == "p50" else 2.5,
                    linewidth=1.6 if rank == "p50" else 1.0,
                )  # fmt: skip
                ends[f"{stage}{' p95' if rank == 'p95' else ''}"] = (values[-1], color)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("documents")
        axes.set_ylabel("milliseconds a query")
        _plain(axes, "y")
        _name_ends(axes, sizes[-1], ends)

    _draw(path, "cost of a query by size of the index: median, and p95 dashed", draw)


def _stretch(axes: "Axes", low: float) -> None:
    """Give recall near 1 more room: its axis goes by the logarithm of what is missed."""
    rest = 0.002  # so that 1 has a place
    axes.set_yscale(
        "function",
        functions=(
            lambda y: -np.log10(np.maximum(1 + rest - y, rest / 10)),
            lambda z: 1 + rest - 10.0 ** (-z),
        ),
    )
    ticks = [tick for tick in (0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1) if tick > low]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(low, 1 + 0.6 * rest)


def _draw(path: str, title: str, draw: "Callable[[Axes], None]") -> None:
    def fill(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.set_title(title, loc="left", fontsize=10)
        draw(axes)

    png(path, _HEIGHT, fill)


def _note(
    axes: "Axes",
    point: tuple[float, float],
    text: str,
    color: str,
    offset: tuple[float, float],
    side: str,
) -> None:
    axes.annotate(
        text, point, xytext=offset, textcoords="offset points", color=color, ha=side
    )  # fmt: skip


def _plain(axes: "Axes", which: str) -> None:
    """Write 1, 2 and 5 of each power of ten as they are, not as powers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _name_ends(axes: "Axes", size: int, ends: Mapping[str, tuple[float, str]]) -> None:
    """Write each curve's name right of its end, moved up where it would cover another."""
    figure = axes.get_figure(root=True)
    if figure is None:
        raise AssertionError("the axes are in no figure")
    figure.draw_without_rendering()
    dots = 72 / figure.dpi  # from pixels to points
    heights = {
        name: float(axes.transData.transform((size, value))[1]) * dots
        for name, (value, _) in ends.items()
    }
    places = _apart(sorted(heights.values()))
    for name, place in zip(sorted(heights, key=lambda each: heights[each]), places, strict=True):
        value, color = ends[name]
        axes.annotate(
            name, (size, value), xytext=(9, place - heights[name]), textcoords="offset points",
            color=color, va="center", annotation_clip=False,
        )  # fmt: skip


def _apart(heights: Sequence[float]) -> list[float]:
    """Move ascending heights up, each no nearer to the one below than labels may be."""
    places: list[float] = []
    for height in heights:
        places.append(max(height, places[-1] + _APART) if places else height)
    return places
