"""The table's columns, which its forms for terminal, Markdown and page share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from eval.report.notation import MISSING, decimal, probability, size, three_digits
from eval.report.verdict import is_significant, ordered
from eval.results import Comparison, Cost, Experiment

MARK = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's cells, one a system in the report's order; `best` are the rows to stress.

    Cells of one column have their decimals below each other when set flush right: where some have
    a mark of significance, the others end with a space.
    """

    group: str
    title: str
    cells: tuple[str, ...]
    best: frozenset[int] = field(default_factory=frozenset)


def columns(experiment: Experiment) -> list[Column]:
    """Return quality, comparison with the baseline and cost; groups without data are left out."""
    quality = [_measure(experiment, measure) for measure in experiment.measures]
    return [*quality, *_comparisons(experiment), *_costs(experiment)]


def best_rows(experiment: Experiment, measure: str) -> frozenset[int]:
    """Return the rows with the highest mean as printed; none where nothing is better or worse.

    That is of one system alone, and of Judged, which tells about judgements and not systems.
    """
    shown = [round(system.means[measure], 4) for system in ordered(experiment)]
    if len(shown) == 1 or measure.startswith("Judged"):
        return frozenset()
    return frozenset(row for row, mean in enumerate(shown) if mean == max(shown))


def _measure(experiment: Experiment, measure: str) -> Column:
    return Column(
        group="quality",
        title=measure,
        cells=tuple(decimal(system.means[measure], 4) for system in ordered(experiment)),
        best=best_rows(experiment, measure),
    )


def _comparisons(experiment: Experiment) -> list[Column]:
    found = [system.comparisons.get(experiment.measures[0]) for system in ordered(experiment)]
    if not any(found):
        return []
    writers: dict[str, Callable[[Comparison], str]] = {
        "difference": lambda each: decimal(each.difference, 4, sign=True),
        "p": _marked,
        "win/tie/loss": lambda each: f"{each.wins}/{each.ties}/{each.losses}",
    }
    return [
        Column(
            group=f"{experiment.measures[0]} against the baseline",
            title=title,
            cells=tuple(MISSING if each is None else write(each) for each in found),
        )
        for title, write in writers.items()
    ]


def _marked(comparison: Comparison) -> str:
    return probability(comparison.p_holm) + (MARK if is_significant(comparison) else " ")


def _costs(experiment: Experiment) -> list[Column]:
    costs = [system.cost for system in ordered(experiment)]
    if not any(costs):
        return []
    writers: dict[str, Callable[[Cost], str]] = {
        "q/s": lambda each: three_digits(each.queries_per_second),
        **{f"{name} ms": _percentile(name) for name in ("p50", "p95", "p99")},
        "index": lambda each: size(each.index_bytes),
        "memory": lambda each: size(each.peak_bytes),
    }
    return [
        Column(
            group="cost",
            title=title,
            cells=tuple(MISSING if each is None else write(each) for each in costs),
        )
        for title, write in writers.items()
    ]


def _percentile(name: str) -> Callable[[Cost], str]:
    return lambda cost: three_digits(cost.latency_ms.get(name))
