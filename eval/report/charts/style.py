"""The one style of all charts, and their way to SVG and PNG."""

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eval.report.notation import decimal
from eval.results import Experiment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import FigureCanvasBase
    from matplotlib.figure import Figure

WIDTH = 7.5  # inches
_DOTS = 160  # an inch of PNG
INK, QUIET, RULE = "#1b1b1b", "#5c5c5c", "#e2e2e2"
GAIN, LOSS = "#0072B2", "#D55E00"

# Okabe and Ito, "Color universal design" (2008), without its yellow, too light for lines on paper.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
_DASHES = ("-", (0, (5, 1.6)), (0, (1.4, 1.4)), (0, (6, 1.5, 1.2, 1.5)))
_SETTINGS: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#8a8a8a",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a name may have dollar signs
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
}
_FONT = re.compile(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*")
_FAMILY = "system-ui, 'DejaVu Sans', 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
# The parts of matplotlib's output that name a time or a version, repeat what is there, or are
# identifiers that nothing refers to; several pictures stand in one page.
_DROPPED = re.compile(
    r"<!--.*?-->\s*|<metadata>.*?</metadata>\s*|<!DOCTYPE.*?>\s*"
    r'| id="(?:figure|axes|patch|line2d|text|matplotlib\.axis|xtick|ytick|legend|\w+Collection)'
    r'_\d+"',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """How a system is drawn: told apart by colour, by shape and by dashes."""

    color: str
    marker: str
    dashes: Any
    hollow: bool

    @property
    def fill(self) -> str:
        """The colour inside its marker."""
        return "white" if self.hollow else self.color


def pens(experiment: Experiment) -> dict[str, Pen]:
    """Give every system its pen, the same in all charts; the baseline's is black and hollow."""
    made = {experiment.baseline: Pen(color=INK, marker="o", dashes="-", hollow=True)}
    others = [each.name for each in experiment.systems if each.name != experiment.baseline]
    for number, name in enumerate(others):
        made[name] = Pen(
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            dashes=_DASHES[number % len(_DASHES)],
            hollow=False,
        )
    return made


def svg(name: str, height: float, draw: "Callable[[Figure], None]") -> str:
    """Draw a figure `WIDTH` by `height` inches and return it as SVG, its text as text.

    The same drawing gives the same bytes: no time, no random ids, no settings of the user's.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with _style():
        import matplotlib

        matplotlib.rcParams["svg.hashsalt"] = name
        file = io.StringIO()
        figure = _figure(height, "none", FigureCanvasSVG, draw)
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _tidy(file.getvalue())


def png(path: str, height: float, draw: "Callable[[Figure], None]") -> None:
    """Draw a figure `WIDTH` by `height` inches into a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _style():
        _figure(height, "white", FigureCanvasAgg, draw).savefig(path, dpi=_DOTS)


@contextlib.contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # Letters that the font lacks are the browser's to find in another.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def _figure(
    height: float, face: str, canvas: "type[FigureCanvasBase]", draw: "Callable[[Figure], None]"
) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=72, layout="constrained", facecolor=face)
    canvas(figure)
    draw(figure)
    return figure


def _tidy(drawn: str) -> str:
    drawn = _DROPPED.sub("", drawn)
    return _FONT.sub(lambda match: f"font: {match[1]}{_FAMILY}", drawn)


def score_axis(axes: "Axes", which: str) -> None:
    """Write an axis's numbers as the text does: .70 for 0.70, with a real minus."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _tick(value: float) -> str:
    text = decimal(value, 3)
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return (text or "0").replace("-", "−") if text not in ("-", "") else "0"
