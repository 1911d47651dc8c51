"""An experiment as one HTML file that needs nothing else, neither a network nor a script."""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from eval.report.changes import TOP, sections, shown_of
from eval.report.charts import Chart
from eval.report.columns import Column, columns
from eval.report.definitions import definitions
from eval.report.notation import (
    cut,
    decimal,
    judged_on,
    plural,
    printable,
    probability_phrase,
    three_digits,
)
from eval.report.verdict import compared, ordered, remarks, test_note, verdicts
from eval.results import Experiment

_PROVENANCE = 300  # characters of a value
_PERCENTILES = ("p50", "p95", "p99")
_PRINTED_OPEN = 3  # queries each way whose rankings are printed


def html(experiment: Experiment, charts: Sequence[Chart]) -> str:
    """Render the report; every text of the collection is escaped by the template's engine."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minus"] = lambda text: text.replace("-", "−")
    all_columns = columns(experiment)
    return environment.get_template("report.html.jinja").render(
        judged_on=judged_on(experiment.collection, experiment.split),
        measure=experiment.measures[0],
        baseline=printable(experiment.baseline),
        compared=_compared(experiment),
        verdicts=verdicts(experiment),
        groups=_groups(all_columns),
        columns=all_columns,
        rows=[printable(system.name) for system in ordered(experiment)],
        test_note=test_note(experiment),
        remarks=remarks(experiment),
        stages=_stages(experiment),
        # The drawings are ours, and matplotlib escapes the names in them.
        charts=[(chart, Markup(_inline(chart.svg))) for chart in charts if chart.svg],
        left_out=[chart for chart in charts if not chart.svg],
        sections=sections(experiment),
        provenance=_flat(experiment.provenance),
        definitions=definitions(experiment.measures, tests=bool(compared(experiment))),
        top=TOP,
        printed_open=_PRINTED_OPEN,
        shown_of=shown_of,
        timed=any(system.cost for system in experiment.systems),
        decimal=decimal,
        probability_phrase=probability_phrase,
    )


def _compared(experiment: Experiment) -> str:
    """Say what was measured on what."""
    systems = plural(len(experiment.systems), "system", "systems")
    queries = plural(len(experiment.queries), "query", "queries")
    judged = sum(map(len, experiment.qrels.values()))
    against = ""
    if compared(experiment):
        against = f", compared with {printable(experiment.baseline)} query by query"
    return f"{systems} on {queries} with {plural(judged, 'judgement', 'judgements')}{against}."


def _groups(all_columns: Sequence[Column]) -> list[tuple[str, int]]:
    return [
        (name, len(list(members)))
        for name, members in groupby(all_columns, lambda each: each.group)
    ]


def _stages(experiment: Experiment) -> list[tuple[str, str, list[str]]]:
    """System, stage and its percentiles in milliseconds."""
    return [
        (printable(system.name), printable(stage), [_milliseconds(times, p) for p in _PERCENTILES])
        for system in ordered(experiment)
        if system.cost
        for stage, times in system.cost.stages_ms.items()
    ]


def _milliseconds(times: Any, percentile: str) -> str:  # noqa: ANN401 - a mapping of any kind
    return three_digits(times.get(percentile))


def _inline(drawn: str) -> str:
    """Leave out what only a file of its own needs."""
    return drawn[drawn.index("<svg") :]


def _flat(provenance: Any, path: str = "") -> list[tuple[str, str]]:  # noqa: ANN401 - JSON
    """List the leaves of JSON as (dotted path, text)."""
    if isinstance(provenance, dict) and provenance:
        return [
            leaf
            for key, value in provenance.items()
            for leaf in _flat(value, f"{path}.{key}" if path else str(key))
        ]
    text = provenance if isinstance(provenance, str) else json.dumps(provenance, default=str)
    return [(printable(path), cut(text, _PROVENANCE))] if path else []
