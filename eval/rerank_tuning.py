"""The share of a reranker's scores, chosen by judgements, at the first stages as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval.collections import Collection
from eval.judgements import Qrels
from eval.measures import cutoff, parse_measures, score
from eval.results import Comparison
from eval.runs import Run
from eval.significance import compare
from eval.sweep import TOP, Values
from eval.tuning import LARGEST_P, Plan, as_good_as_the_best, assign_folds
from indexer.defaults import change_defaults
from indexer.manifest import Defaults
from indexer.progress import Progress, Step, silent
from search.hits import Options
from search.index import Index
from search.reranking.options import stored_weight
from search.runs import column

WEIGHTS = tuple(step / 10 for step in range(11))


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankTuning:
    """What tuning a reranker's weight found; a weight of 0 is the ranking without it.

    `present` is the weight that the index is searched by now, 0 where it names another reranker or
    none. All else is as in `Tuning`: `curve` has the mean over all queries by weight.
    """

    name: str
    measure: str
    present: float
    tuned: float
    choices: tuple[float, ...]
    mean_present: float
    mean_tuned: float
    comparison: Comparison
    curve: tuple[tuple[float, float], ...]

    @property
    def worth_writing(self) -> bool:
        """Whether another weight wins on queries that it was not chosen on, and not by luck."""
        wins = self.comparison.difference > 0 and self.comparison.p_value < LARGEST_P
        return wins and self.tuned != self.present


class RerankTuner:
    """One run of tuning a reranker's weight, which only reads the index."""

    def __init__(self, index: Index, collection: Collection, plan: Plan, name: str) -> None:
        """Load the reranker; the plan is one that a `Tuner` of this collection has taken.

        Raises:
            ClozeError: the reranker can't be had.
        """
        index.reranker_hash(name)
        self.folder = index.folder
        self._index = index
        self._collection = collection
        self._measure = parse_measures([plan.measure])[0]
        self._plan = plan
        self._name = name
        self._done = 0

    def position(self) -> float | None:
        """Return the share of the queries that have been searched; None before the first."""
        return self._done / len(self._collection.queries) if self._done else None

    def run(self, progress: Progress = silent) -> RerankTuning:
        """Try every weight on every query, and choose."""
        stored = self._index.manifest.defaults
        present = stored_weight(self._name, stored) if stored.rerank == self._name else 0.0
        weights = sorted({*WEIGHTS, present})
        values = self._values(weights, progress)
        queries = list(self._collection.queries)
        folds = assign_folds(queries, self._plan.folds, self._plan.seed)
        choices = [
            _choose(weights, present, values[:, folds != fold]) for fold in range(self._plan.folds)
        ]
        held_out = values[np.array(choices)[folds], np.arange(len(queries))]
        before = values[weights.index(present)]
        return RerankTuning(
            name=self._name,
            measure=self._measure,
            present=present,
            tuned=weights[_choose(weights, present, values)],
            choices=tuple(weights[choice] for choice in choices),
            mean_present=float(before.mean()),
            mean_tuned=float(held_out.mean()),
            comparison=compare(
                dict(zip(queries, held_out.tolist(), strict=True)),
                dict(zip(queries, before.tolist(), strict=True)),
                seed=self._plan.seed,
            ),
            curve=tuple(zip(weights, values.mean(axis=1).tolist(), strict=True)),
        )

    def _values(self, weights: Sequence[float], progress: Progress) -> Values:
        """Return the measure of every weight for every query; each document is scored once."""
        top = cutoff(self._measure) or TOP
        ways: list[Options] = [
            {"rerank": self._name, "rerank_weight": weight, "top": top} for weight in weights
        ]
        values = np.zeros((len(weights), len(self._collection.queries)))
        for place, (query, text) in enumerate(self._collection.queries.items()):
            answers = self._index.rank_each(text, ways)
            ranked = {
                str(way): [(column(document), value) for document, value in answer]
                for way, answer in enumerate(answers)
            }
            qrels: Qrels = dict.fromkeys(ranked, self._collection.qrels[query])
            found = score(qrels, Run(name="sweep", ranked=ranked), [self._measure])[self._measure]
            values[:, place] = [found[way] for way in ranked]
            self._done += 1
            progress(Step(phase="search", documents=self._done))
        return values


def _choose(weights: Sequence[float], present: float, values: Values) -> int:
    """Return the weight nearest to the present one of those that are as good as the best."""
    good = as_good_as_the_best(values)
    return min(good, key=lambda place: (abs(weights[place] - present), weights[place]))


def write_reranker(folder: Path, tuning: RerankTuning) -> None:
    """Let an index be searched by the reranker with the chosen weight; 0 is without any.

    Raises:
        ClozeError: another process is writing to the index.
    """

    def change(stored: Defaults) -> Defaults:
        if tuning.tuned == 0:
            return replace(stored, rerank=None, rerank_depth=None, rerank_weight=None)
        depth = stored.rerank_depth if stored.rerank == tuning.name else None
        return replace(stored, rerank=tuning.name, rerank_depth=depth, rerank_weight=tuning.tuned)

    change_defaults(folder, change)
