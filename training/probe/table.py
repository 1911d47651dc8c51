"""What a probe found, as a table for a terminal and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from eval.report.notation import MISSING, decimal
from training.probe.curve import Curve, Probe

_EMBEDDINGS = "embeddings"


def as_json(probe: Probe) -> dict[str, Any]:
    """Return all of a probe as JSON holds it; `tasks` by name, their figures by layer."""
    found = asdict(probe)
    found["tasks"] = {curve.pop("task"): curve for curve in found.pop("curves")}
    for task in found["tasks"].values():
        task["rows"] = dict(zip(("train", "dev", "judged"), task["rows"], strict=True))
        figures = task.pop("figures")
        for name in ("value", "half_width", "strength"):
            task[name] = [figure[name] for figure in figures]
    return found


def text_table(probe: Probe) -> str:
    """Write a row for each layer and a column for each task, the best layer of each marked."""
    columns = [_layer_names(probe), *(_column(curve) for curve in probe.curves)]
    widths = [max(map(len, column)) for column in columns]
    rows = list(zip(*columns, strict=True))
    heads, layers, beneath = rows[:3], rows[3 : 4 + probe.layers], rows[4 + probe.layers :]
    rule = tuple("─" * width for width in widths)
    lines = [_line(row, widths) for row in (*heads, rule, *layers, rule, *beneath)]
    return "\n".join([_caption(probe), "", *lines, "", *_notes(probe)])


def _layer_names(probe: Probe) -> list[str]:
    layers = [f"0 {_EMBEDDINGS}", *(str(layer) for layer in range(1, probe.layers + 1))]
    return ["layer", "", "", *layers, "± 95%", "words alone", "majority"]


def _column(curve: Curve) -> list[str]:
    values = [
        decimal(figure.value) + ("*" if layer == curve.best else " ")
        for layer, figure in enumerate(curve.figures)
    ]
    widest = max(figure.half_width for figure in curve.figures)
    majority = MISSING if curve.majority is None else decimal(curve.majority)
    beneath = [decimal(widest), decimal(curve.words), majority]
    heads = [curve.task, curve.measure, f"{curve.split} {curve.rows[2]:,}"]
    return [*(f"{each} " for each in heads), *values, *(f"{each} " for each in beneath)]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first = row[0].ljust(widths[0])
    return "  ".join(
        [first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
    ).rstrip()


def _caption(probe: Probe) -> str:
    return (
        f"{probe.model}: {probe.layers} layers in {probe.precision}, {probe.tokens:,} tokens, "
        f"{probe.seconds:.0f} s"
    )


def _notes(probe: Probe) -> Iterator[str]:
    yield "* the best layer; ± is half the widest 95% interval of the column"
    if probe.truncated:
        yield f"{probe.truncated:,} texts were longer than the model reads and lost their end"
