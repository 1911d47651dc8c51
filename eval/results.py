"""What an experiment found: every system's figures, and where they come from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from eval.judgements import Qrels
from eval.runs import Run

Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A system against the baseline on one measure, paired by query.

    `difference` is the mean of system minus baseline, `ci95` its bootstrap interval; `p_value` is
    that of the paired randomisation test, `p_holm` the same corrected over the systems compared,
    `p_t` that of the paired t-test; `effect_size` is the mean difference over the standard
    deviation of the differences (Cohen's d for paired samples).
    """

    difference: float
    ci95: Interval
    p_value: float
    p_holm: float
    p_t: float
    effect_size: float
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TieRange:
    """How far another order of equal scores could move the mean of the first measure.

    `queries` is how many have equal scores within the cut-off or across it.
    """

    queries: int
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a system takes, one query at a time: milliseconds, bytes.

    `latency_ms` has p50, p95, p99; `stages_ms` the same for each stage. `index_bytes` is what
    the system reads on disk, `peak_bytes` the largest resident memory of a process with this
    system alone; None where that can't be told.
    """

    queries: int
    queries_per_second: float
    latency_ms: Mapping[str, float]
    stages_ms: Mapping[str, Mapping[str, float]]
    index_bytes: int | None
    peak_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemResult:
    """One system's run and figures; measures are named as ir-measures writes them.

    `per_query` has every judged query; those without results count 0, and `unanswered` tells how
    many there are. `comparisons` is by measure, and empty for the baseline itself.
    """

    name: str
    run: Run
    means: Mapping[str, float]
    per_query: Mapping[str, Mapping[str, float]]
    ci95: Mapping[str, Interval]
    comparisons: Mapping[str, Comparison]
    unanswered: int
    ties: TieRange
    cost: Cost | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a report shows of a document."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment's findings; `measures[0]` is the one that systems are ordered and tested by.

    `queries` maps every judged query to its text ("" where no text is known). `documents` gives
    title and text of those documents that can be had. `provenance` is JSON.
    """

    collection: str
    split: str
    measures: tuple[str, ...]
    baseline: str
    queries: Mapping[str, str]
    qrels: Qrels
    systems: tuple[SystemResult, ...]
    notices: tuple[str, ...]
    provenance: Mapping[str, Any]
    documents: Callable[[Sequence[str]], Mapping[str, Shown]]
