"""What equal scores leave open: the range of a measure over all orders of tied documents."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import ir_measures
import numpy as np
import numpy.typing as npt

from eval.judgements import Qrels
from eval.measures import cutoff, mean, score
from eval.results import TieRange
from eval.runs import Ranked, Run

Groups: TypeAlias = npt.NDArray[np.intp]


def tie_range(qrels: Qrels, run: Run, measure: str) -> TieRange:
    """Return the mean of a measure with every group of equal scores ordered best and worst.

    Scores are equal when they are as float32, which is how trec_eval compares them, and a group
    is what stands together. Best is the highest grade first (judged first for Judged@k). No order
    is better or worse than these for nDCG, RR, P, R, Success, Judged and AP: moving a relevant
    document up past one that isn't never lowers them, for AP because the precision at that
    document rises and at all others stays. (McSherry and Najork 2008, Computing information
    retrieval performance measures efficiently in the presence of tied scores.)

    Args:
        qrels: grades of documents by query; other queries are left out.
        run: the answers with the scores that the system gave.
        measure: a canonical name, as `parse_measures` returns it.
    """
    depth = cutoff(measure)
    worth = _worth(measure)
    best: dict[str, Ranked] = {}
    worst: dict[str, Ranked] = {}
    for query in qrels:
        ranked = run.ranked.get(query, ())
        groups = _groups(ranked)
        if not _touches(groups, depth):
            continue
        values = np.array([worth(qrels[query], document) for document, _ in ranked])
        # Stable, so that equal values stay as they are.
        best[query] = [ranked[index] for index in np.lexsort((-values, groups))]
        worst[query] = [ranked[index] for index in np.lexsort((values, groups))]
    as_ranked = score(qrels, run, [measure])[measure]
    return TieRange(
        queries=len(best),
        low=_mean_with(qrels, as_ranked, worst, measure),
        high=_mean_with(qrels, as_ranked, best, measure),
    )


def _worth(measure: str) -> Callable[[Mapping[str, int], str], int]:
    """Return the function that tells from a query's grades what a document is worth."""
    parsed = ir_measures.parse_measure(measure)
    if parsed.NAME == "Judged":
        return lambda grades, document: int(document in grades)
    gains = parsed.params.get("gains", {})

    def worth(grades: Mapping[str, int], document: str) -> int:
        grade = grades.get(document, 0)
        return int(gains.get(grade, grade)) if document in grades else 0

    return worth


def _groups(ranked: Ranked) -> Groups:
    """Return the number of the group of equal scores that each rank belongs to."""
    with np.errstate(over="ignore"):
        scores = np.array([value for _, value in ranked], dtype=np.float64).astype(np.float32)
    return np.concatenate(([0], np.cumsum(scores[1:] != scores[:-1])))[: len(scores)]


def _touches(groups: Groups, depth: int | None) -> bool:
    """Tell whether a document within the cut-off shares its group with the next one."""
    return bool(np.any(groups[1:][:depth] == groups[:-1][:depth]))


def _mean_with(
    qrels: Qrels, values: Mapping[str, float], reordered: Mapping[str, Ranked], measure: str
) -> float:
    """Return the mean over all queries, with those that are reordered scored anew."""
    run = Run(name="reordered", ranked=reordered)
    touched = {query: qrels[query] for query in reordered}
    return mean({**values, **score(touched, run, [measure])[measure]})
