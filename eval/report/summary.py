"""An experiment as JSON: what `cloze eval --json` prints and metrics.json holds."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from eval.results import Cost, Experiment, SystemResult

_COMPARED = {
    "p_value": "p_holm",
    "p_raw": "p_value",
    "wins": "wins",
    "ties": "ties",
    "losses": "losses",
    "difference": "difference",
    "effect_size": "effect_size",
}


def as_json(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment's figures as JSON values; what is unknown or not finite is null.

    A system's `p_value` is Holm's on the first measure, `p_raw` the uncorrected; both are null for
    the baseline, as are its wins, ties and losses.
    """
    made: dict[str, Any] = _plain(
        {
            "collection": experiment.collection,
            "split": experiment.split,
            "queries": len(experiment.queries),
            "measures": experiment.measures,
            "systems": {each.name: _system(each, experiment) for each in experiment.systems},
            "baseline": experiment.baseline,
            "notices": experiment.notices,
            "provenance": experiment.provenance,
        }
    )
    return made


def _system(system: SystemResult, experiment: Experiment) -> dict[str, Any]:
    first = system.comparisons.get(experiment.measures[0])
    compared = {name: first and getattr(first, field) for name, field in _COMPARED.items()}
    return {
        "measures": system.means,
        "ci95": system.ci95,
        **compared,
        "comparisons": {
            measure: dataclasses.asdict(each) for measure, each in system.comparisons.items()
        },
        "tie_range": dataclasses.asdict(system.ties),
        "unanswered": system.unanswered,
        **_cost(system.cost),
    }


def _cost(cost: Cost | None) -> dict[str, Any]:
    fields = ("latency_ms", "queries_per_second", "stages_ms", "index_bytes", "peak_bytes")
    return {field: cost and getattr(cost, field) for field in fields}


def _plain(value: Any) -> Any:  # noqa: ANN401 - anything that JSON can hold
    """Turn mappings and sequences into JSON's own, and figures that JSON lacks into None."""
    match value:
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case float():
            return float(value) if math.isfinite(value) else None
    return value
