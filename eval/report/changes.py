"""The queries that lost and gained most against the baseline, or failed, with both rankings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eval.report.charts.gains import differences
from eval.report.notation import cut, printable
from eval.report.verdict import baseline, compared
from eval.results import Comparison, Experiment, Shown, SystemResult
from eval.runs import Ranked

TOP = 10
_EACH_WAY = 20
_ALL = 180  # queries of all comparisons together, which bounds the size of the page
_SNIPPET, _TITLE, _ID, _QUERY = 160, 100, 60, 400  # characters
_MISSED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A document in a ranking; `grade` is None where nobody judged it."""

    rank: int
    id: str
    title: str
    snippet: str
    grade: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A relevant document outside both tops; a rank is None where the run lacks it."""

    id: str
    title: str
    grade: int
    baseline_rank: int | None
    system_rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A query, its first measure under both systems and their rankings."""

    id: str
    text: str
    baseline_value: float
    system_value: float
    baseline_hits: tuple[Hit, ...]
    system_hits: tuple[Hit, ...]
    missed: tuple[Missed, ...]
    more_missed: int

    @property
    def difference(self) -> float:
        """System minus baseline."""
        return self.system_value - self.baseline_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One system against the baseline.

    `losses` and `gains` are those shown, largest first; `failures` are queries on which both are
    0.
    """

    system: str
    comparison: Comparison
    all_losses: int
    all_gains: int
    all_failures: int
    losses: tuple[Change, ...]
    gains: tuple[Change, ...]
    failures: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The ids of the queries to show of a system."""

    system: SystemResult
    comparison: Comparison
    losses: list[str]
    gains: list[str]
    failures: list[str]


def sections(experiment: Experiment) -> tuple[Section, ...]:
    """Return every comparison with the queries that changed most or failed, at most 20 of each.

    With more than four comparisons it is fewer, so that a page stays small.
    """
    pairs = compared(experiment)
    chosen = [_choose(experiment, *pair) for pair in pairs]
    most = min(_EACH_WAY, max(_ALL // 3 // len(pairs), 1)) if pairs else 0
    texts = _texts(experiment, chosen, most)
    return tuple(
        Section(
            system=printable(each.system.name),
            comparison=each.comparison,
            all_losses=len(each.losses),
            all_gains=len(each.gains),
            all_failures=len(each.failures),
            losses=tuple(_change(experiment, each.system, q, texts) for q in each.losses[:most]),
            gains=tuple(_change(experiment, each.system, q, texts) for q in each.gains[:most]),
            failures=tuple(
                _change(experiment, each.system, q, texts) for q in each.failures[:most]
            ),
        )
        for each in chosen
    )


def _choose(experiment: Experiment, system: SystemResult, comparison: Comparison) -> _Chosen:
    changes = differences(experiment, system)
    losses = sorted((q for q in changes if changes[q] < 0), key=lambda q: (changes[q], q))
    gains = sorted((q for q in changes if changes[q] > 0), key=lambda q: (-changes[q], q))
    values = system.per_query[experiment.measures[0]]
    failures = sorted(q for q in changes if changes[q] == 0 and values.get(q, 0.0) == 0)
    return _Chosen(system, comparison, losses, gains, failures)


def _texts(experiment: Experiment, chosen: Iterable[_Chosen], most: int) -> Mapping[str, Shown]:
    """Ask once for all documents that will be shown."""
    wanted: dict[str, None] = {}
    for each in chosen:
        for query in [*each.losses[:most], *each.gains[:most], *each.failures[:most]]:
            for system in (baseline(experiment), each.system):
                wanted.update((document, None) for document, _ in _top(system, query))
            wanted.update((document, None) for document in _relevant(experiment, query)[:100])
    return experiment.documents(list(wanted)) if wanted else {}


def _top(system: SystemResult, query: str) -> Ranked:
    return system.run.ranked.get(query, ())[:TOP]


def _relevant(experiment: Experiment, query: str) -> list[str]:
    """The relevant documents of a query, highest grade first."""
    judged = experiment.qrels.get(query, {})
    return sorted((d for d in judged if judged[d] > 0), key=lambda d: (-judged[d], d))


def _change(
    experiment: Experiment, system: SystemResult, query: str, texts: Mapping[str, Shown]
) -> Change:
    measure, base = experiment.measures[0], baseline(experiment)
    judged = experiment.qrels.get(query, {})
    shown = {document for each in (base, system) for document, _ in _top(each, query)}
    missed = [document for document in _relevant(experiment, query) if document not in shown]
    ranks = _ranks(base, query), _ranks(system, query)
    return Change(
        id=cut(query, _ID),
        text=cut(experiment.queries[query], _QUERY),
        baseline_value=base.per_query[measure].get(query, 0.0),
        system_value=system.per_query[measure].get(query, 0.0),
        baseline_hits=_hits(_top(base, query), judged, texts),
        system_hits=_hits(_top(system, query), judged, texts),
        missed=tuple(
            Missed(
                id=cut(document, _ID),
                title=_title(document, texts),
                grade=judged[document],
                baseline_rank=ranks[0].get(document),
                system_rank=ranks[1].get(document),
            )
            for document in missed[:_MISSED]
        ),
        more_missed=max(len(missed) - _MISSED, 0),
    )


def _ranks(system: SystemResult, query: str) -> dict[str, int]:
    ranked = system.run.ranked.get(query, ())
    return {document: rank for rank, (document, _) in enumerate(ranked, 1)}


def _hits(ranked: Ranked, judged: Mapping[str, int], texts: Mapping[str, Shown]) -> tuple[Hit, ...]:
    return tuple(
        Hit(
            rank=rank,
            id=cut(document, _ID),
            title=_title(document, texts),
            snippet=_snippet(document, texts),
            grade=judged.get(document),
        )
        for rank, (document, _) in enumerate(ranked, 1)
    )


def _title(document: str, texts: Mapping[str, Shown]) -> str:
    return cut(texts[document].title, _TITLE) if document in texts else ""


def _snippet(document: str, texts: Mapping[str, Shown]) -> str:
    return cut(texts[document].text, _SNIPPET) if document in texts else ""


def shown_of(shown: Sequence[Change], total: int) -> str:
    """Say how many of all are shown: `20 of 63`, or only `12` where these are all."""
    return f"{len(shown)} of {total:,}" if len(shown) < total else f"{total:,}"
