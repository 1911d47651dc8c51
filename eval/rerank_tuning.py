"""The share of a reranker's scores, chosen by judgements, at the first stages as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval.collections import Collection
from eval.measures import parse_measures
from eval.results import Comparison
from eval.sweep import Values
from eval.tuning import LARGEST_P, Plan, as_good_as_the_best, assign_folds, compare_values
from eval.ways import Ways
from indexer.defaults import change_defaults
from indexer.manifest import Defaults
from indexer.progress import Progress, silent
from search.hits import Options
from search.index import Index
from search.reranking.opening import LATE, NONE
from search.reranking.options import stored_weight

WEIGHTS = tuple(step / 10 for step in range(11))


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankTuning:
    """What tuning a reranker's weight found; a weight of 0 is the ranking without it.

    `present` is the weight that the index is searched by now, 0 without any reranker. Where it is
    searched by `other`, another reranker, that one's ranking is tried too: `present` is None then,
    and so is a choice that leaves it. All else is as in `Tuning`: `mean_present` is of searches
    that say nothing, `curve` has the mean over all queries by weight.
    """

    name: str
    other: str | None
    measure: str
    present: float | None
    tuned: float | None
    choices: tuple[float | None, ...]
    mean_present: float
    mean_tuned: float
    comparison: Comparison
    curve: tuple[tuple[float, float], ...]

    @property
    def worth_writing(self) -> bool:
        """Whether the choices win on queries that they were not made on, and not by luck."""
        wins = self.comparison.difference > 0 and self.comparison.p_value < LARGEST_P
        return wins and self.tuned != self.present


class RerankTuner:
    """One run of tuning a reranker's weight, which only reads the index."""

    def __init__(self, index: Index, collection: Collection, plan: Plan, name: str) -> None:
        """Load the reranker; the plan is one that a `Tuner` of this collection has taken.

        Raises:
            ClozeError: the reranker can't be had.
        """
        self._name = _stored_name(name)
        index.reranker_hash(self._name)
        self.folder = index.folder
        self._index = index
        self._collection = collection
        self._measure = parse_measures([plan.measure])[0]
        self._plan = plan
        self._ways = Ways(index, collection, self._measure)
        self.position = self._ways.position

    def run(self, progress: Progress = silent) -> RerankTuning:
        """Try every weight on every query, and choose."""
        stored = self._index.manifest.defaults
        present = self._present(stored)
        near = stored_weight(self._name, stored) if present is None else present
        weights = self._weights(present)
        values = self._ways.run([self._way(weight) for weight in weights], progress)
        queries = list(self._collection.queries)
        folds = assign_folds(queries, self._plan.folds, self._plan.seed)
        choices = [
            _choose(weights, near, values[:, folds != fold]) for fold in range(self._plan.folds)
        ]
        held_out = values[np.array(choices)[folds], np.arange(len(queries))]
        before = values[weights.index(present)]
        means = values.mean(axis=1).tolist()
        return RerankTuning(
            name=self._name,
            other=stored.rerank if present is None else None,
            measure=self._measure,
            present=present,
            tuned=weights[_choose(weights, near, values)],
            choices=tuple(weights[choice] for choice in choices),
            mean_present=float(before.mean()),
            mean_tuned=float(held_out.mean()),
            comparison=compare_values(queries, held_out, before, self._plan.seed),
            curve=tuple(
                (weight, mean)
                for weight, mean in zip(weights, means, strict=True)
                if weight is not None
            ),
        )

    def _present(self, stored: Defaults) -> float | None:
        if stored.rerank in (None, NONE):
            return 0.0
        return stored_weight(self._name, stored) if stored.rerank == self._name else None

    def _weights(self, present: float | None) -> list[float | None]:
        if present is None:
            return [*WEIGHTS, None]
        return [*sorted({*WEIGHTS, present})]

    def _way(self, weight: float | None) -> Options:
        """Return how to search by a weight; None is what a search does that is told nothing."""
        return {} if weight is None else {"rerank": self._name, "rerank_weight": weight}


def _stored_name(name: str) -> str:
    """Return a folder's whole path, for what is stored is searched by from any folder."""
    place = Path(name).expanduser()
    return str(place.resolve()) if name not in (LATE, NONE) and place.is_dir() else name


def _choose(weights: Sequence[float | None], near: float, values: Values) -> int:
    """Return, of the rows that are as good as the best, the other reranker's, else the nearest."""
    good = as_good_as_the_best(values)

    def distance(place: int) -> tuple[float, float]:
        weight = weights[place]
        return (-1.0, 0.0) if weight is None else (abs(weight - near), weight)

    return min(good, key=distance)


def write_reranker(folder: Path, tuning: RerankTuning) -> None:
    """Let an index be searched by the reranker with the chosen weight; 0 is without any.

    Raises:
        ClozeError: another process is writing to the index.
    """

    def change(stored: Defaults) -> Defaults:
        if tuning.tuned is None:
            return stored
        if tuning.tuned == 0:
            return replace(stored, rerank=None, rerank_depth=None, rerank_weight=None)
        depth = stored.rerank_depth if stored.rerank == tuning.name else None
        return replace(stored, rerank=tuning.name, rerank_depth=depth, rerank_weight=tuning.tuned)

    change_defaults(folder, change)
