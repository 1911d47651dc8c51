"""An experiment's report: a page, tables, charts, figures and runs in one folder."""

import json
from pathlib import Path

from eval.folders import replace_folder
from eval.report.folder import check_folder
from eval.results import Experiment

__all__ = ["check_folder", "write_report"]


def write_report(experiment: Experiment, folder: Path) -> None:
    """Write everything that is known of an experiment into a folder, all of it or nothing.

    It holds report.html, table.md, table.tex, metrics.json, per_query.parquet, charts/*.svg and
    runs/SYSTEM.trec. A report of ours that is there already is replaced.

    Raises:
        ClozeError: see `check_folder`.
    """
    replace_folder(folder, lambda new: _write(experiment, new), check_folder)


def _write(experiment: Experiment, folder: Path) -> None:
    from eval.report.charts import draw_charts
    from eval.report.page import html
    from eval.report.summary import as_json
    from eval.report.tables import latex_table, markdown_table

    charts = draw_charts(experiment)
    (folder / "charts").mkdir()
    for chart in charts:
        if chart.svg:
            _text(folder / "charts" / f"{chart.name}.svg", chart.svg)
    _text(folder / "report.html", html(experiment, charts))
    _text(folder / "table.md", markdown_table(experiment))
    _text(folder / "table.tex", latex_table(experiment))
    _text(
        folder / "metrics.json", json.dumps(as_json(experiment), indent=2, allow_nan=False) + "\n"
    )
    _write_values(experiment, folder / "per_query.parquet")
    _write_runs(experiment, folder / "runs")


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_values(experiment: Experiment, path: Path) -> None:
    """Write a row for every query, system and measure."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        (query, system.name, measure, float(value))
        for system in experiment.systems
        for measure, values in system.per_query.items()
        for query, value in values.items()
    ]
    names = ("query", "system", "measure", "value")
    types = (pa.string(), pa.string(), pa.string(), pa.float64())
    arrays = [pa.array([row[place] for row in rows], type=kind) for place, kind in enumerate(types)]
    pq.write_table(pa.table(arrays, names=names), path)


def _write_runs(experiment: Experiment, folder: Path) -> None:
    from eval.report.filenames import run_files
    from eval.runs import write_run

    files = run_files(system.name for system in experiment.systems)
    folder.mkdir()
    for system in experiment.systems:
        write_run(folder / files[system.name], system.run)
