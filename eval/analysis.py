"""From runs to figures: measures by query, intervals, and every system against the baseline."""

from collections.abc import Mapping, Sequence

from eval.judgements import Qrels
from eval.measures import mean, score
from eval.results import Comparison, Cost, SystemResult
from eval.runs import Run
from eval.significance import compare, holm, interval
from eval.ties import tie_range
from indexer.progress import Progress, Step

SEED = 0
PERMUTATIONS = 100_000


def analyse(
    runs: Mapping[str, Run],
    qrels: Qrels,
    measures: Sequence[str],
    baseline: str,
    costs: Mapping[str, Cost],
    progress: Progress,
) -> tuple[SystemResult, ...]:
    """Score every run and compare it with the baseline's, on every measure.

    Holm's correction is over the systems compared, measure by measure. The result stands in the
    order of `runs`.
    """
    per_query = {}
    for place, (name, run) in enumerate(runs.items(), 1):
        per_query[name] = score(qrels, run, measures)
        progress(Step(phase="score", documents=place))
    comparisons: dict[str, dict[str, Comparison]] = {name: {} for name in runs}
    for measure in measures:
        raw = {
            name: compare(
                values[measure], per_query[baseline][measure], seed=SEED, permutations=PERMUTATIONS
            )
            for name, values in per_query.items()
            if name != baseline
        }
        for name, comparison in holm(raw).items():
            comparisons[name][measure] = comparison
        progress(Step(phase="compare", documents=len(runs)))
    return tuple(
        SystemResult(
            name=name,
            run=run,
            means={measure: mean(per_query[name][measure]) for measure in measures},
            per_query=per_query[name],
            ci95={measure: interval(per_query[name][measure], seed=SEED) for measure in measures},
            comparisons=comparisons[name],
            unanswered=sum(not run.ranked.get(query) for query in qrels),
            ties=tie_range(qrels, run, measures[0]),
            cost=costs.get(name),
        )
        for name, run in runs.items()
    )


def without_identical(runs: Mapping[str, Run]) -> dict[str, Run]:
    """Return the runs without documents that have the id of their query."""
    return {
        name: Run(
            name=name,
            ranked={
                query: [pair for pair in ranked if pair[0] != query]
                for query, ranked in run.ranked.items()
            },
            tag=f"{run.tag or name}-without-identical",
        )
        for name, run in runs.items()
    }
