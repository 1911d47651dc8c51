"""What an index is searched with, chosen by judgements and kept only where it is really better."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eval.collections import Collection
from eval.measures import parse_measures
from eval.results import Comparison
from eval.settings import Setting, grid, nearest, present_setting
from eval.significance import compare
from eval.sweep import Sweep, Values
from eval.ways import Ways
from indexer.errors import ClozeError
from indexer.progress import Progress, silent
from search.hits import Options
from search.index import Index
from search.reranking.opening import NONE

FEWEST_QUERIES = 10
LARGEST_P = 0.05

# By which equal means may differ, for their sums are of other terms.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to tune: the measure to raise, in how many folds, and the seed of folds and tests."""

    measure: str = "nDCG@10"
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What tuning found.

    `tuned` is the choice on all queries, `choices` those of the folds, each made without the
    fold's own queries. `comparison` is between these choices, each on its own fold's queries, and
    `present`; so are the two means. `curve` has means over all queries along the weight (without
    vectors: along the title weight), all else being as in `tuned`.

    All this is without `reranker`, that of the index, on top. Where it has one, `reranked` compares
    the same choices with `present` under it; None where these were not worth that.
    """

    measure: str
    queries: int
    has_titles: bool
    present: Setting
    tuned: Setting
    choices: tuple[Setting, ...]
    mean_present: float
    mean_tuned: float
    comparison: Comparison
    curve: tuple[tuple[Setting, float], ...]
    reranker: str | None = None
    reranked: Comparison | None = None

    @property
    def significant(self) -> bool:
        """Whether the choices win on queries that they were not made on, and not by luck."""
        return self.comparison.difference > 0 and self.comparison.p_value < LARGEST_P

    @property
    def worth_writing(self) -> bool:
        """Whether the index should be changed."""
        harms = self.reranked is not None and self.reranked.difference < -_ROUNDING
        return self.significant and self.tuned != self.present and not harms


class Tuner:
    """One run of tuning, which only reads the index.

    Every combination of fusion, weight, depth and title weight is tried: at about 0.3 ms each for
    a query, none has to be left out. Where the index has a reranker, which reads what they rank
    first, the title weight stays: with the reranker on top, only the stored postings can be judged.
    """

    def __init__(self, index: Index, collection: Collection, plan: Plan) -> None:
        """Check that the collection and the plan fit together.

        Raises:
            ClozeError: there are too few queries, or too many folds; not one measure is named.
        """
        names = parse_measures([plan.measure])
        if len(names) != 1:
            raise ClozeError(
                f"tuning raises one measure, got {len(names)}: {', '.join(names)}; name one"
            )
        count = len(collection.queries)
        if count < FEWEST_QUERIES:
            raise ClozeError(
                f"{collection.name} has {count} judged queries, tuning needs {FEWEST_QUERIES}; "
                "judge more with: cloze judge"
            )
        if not 2 <= plan.folds <= count:
            raise ClozeError(f"{plan.folds} folds of {count} queries; choose 2 to {count}")
        self._index = index
        self._collection = collection
        self._plan = replace(plan, measure=names[0])
        self._sweep = Sweep(index, collection, names[0])
        self._whole = Ways(index, collection, names[0])

    def position(self) -> float | None:
        """Return the share of the queries searched, or reranked; None before the first."""
        return self._whole.position() or self._sweep.position()

    def run(self, progress: Progress = silent) -> Tuning:
        """Try every setting on every query, and choose.

        Raises:
            ClozeError: nothing relevant is found for any query.
        """
        present = present_setting(self._index)
        reranker = self._index.manifest.defaults.rerank
        has_titles = any(document.title.strip() for _, document in self._index.store.all_live())
        reranked = reranker not in (None, NONE)
        settings = grid(present, with_titles=has_titles and not reranked)
        values = self._sweep.run(settings, progress)
        if not values.any():
            raise ClozeError(
                f"{self._index.folder} finds nothing relevant for {values.shape[1]} queries of "
                f"{self._collection.name}; tune on a collection of the documents in the index"
            )
        tuning = self._choose(settings, present, values, has_titles)
        if not reranked:
            return tuning
        tuning = replace(tuning, reranker=reranker)
        if not tuning.worth_writing:
            return tuning
        return replace(tuning, reranked=self._under_reranker(tuning.choices, progress))

    def _under_reranker(self, choices: Sequence[Setting], progress: Progress) -> Comparison:
        """Compare each fold's choice on the fold's own queries with a search that says nothing."""
        tried = list(dict.fromkeys(choices))
        values = self._whole.run([{}, *map(_options, tried)], progress)
        queries = list(self._collection.queries)
        folds = assign_folds(queries, self._plan.folds, self._plan.seed)
        rows = np.array([1 + tried.index(choice) for choice in choices])
        held_out = values[rows[folds], np.arange(len(queries))]
        return compare(
            dict(zip(queries, held_out.tolist(), strict=True)),
            dict(zip(queries, values[0].tolist(), strict=True)),
            seed=self._plan.seed,
        )

    def _choose(
        self, settings: Sequence[Setting], present: Setting, values: Values, has_titles: bool
    ) -> Tuning:
        queries = list(self._collection.queries)
        folds = assign_folds(queries, self._plan.folds, self._plan.seed)
        choices = cross_validate(settings, present, values, folds)
        held_out = values[np.array(choices)[folds], np.arange(len(queries))]
        before = values[settings.index(present)]
        tuned = settings[choose(settings, present, values)]
        return Tuning(
            measure=self._plan.measure,
            queries=len(queries),
            has_titles=has_titles,
            present=present,
            tuned=tuned,
            choices=tuple(settings[choice] for choice in choices),
            mean_present=float(before.mean()),
            mean_tuned=float(held_out.mean()),
            comparison=compare_values(queries, held_out, before, self._plan.seed),
            curve=_curve(settings, tuned, values),
        )


def _options(setting: Setting) -> Options:
    if setting.fusion is None:
        return {"depth": setting.depth}
    return {"fusion": setting.fusion, "weight": setting.weight, "depth": setting.depth}


def compare_values(queries: Sequence[str], found: Values, before: Values, seed: int) -> Comparison:
    """Compare two rows of values, a value a query."""
    first, second = (dict(zip(queries, row.tolist(), strict=True)) for row in (found, before))
    return compare(first, second, seed=seed)


def assign_folds(queries: Sequence[str], folds: int, seed: int) -> NDArray[np.intp]:
    """Return the fold of each query, of sizes that differ by one at most, by the ids' hashes."""
    keys = [hashlib.sha256(f"{seed} {query}".encode()).digest() for query in queries]
    assigned = np.empty(len(queries), dtype=np.intp)
    assigned[sorted(range(len(queries)), key=keys.__getitem__)] = np.arange(len(queries)) % folds
    return assigned


def cross_validate(
    settings: Sequence[Setting], present: Setting, values: Values, folds: NDArray[np.intp]
) -> list[int]:
    """Return the choice of each fold, made on the queries of all other folds."""
    return [
        choose(settings, present, values[:, folds != fold]) for fold in range(int(folds.max()) + 1)
    ]


def choose(settings: Sequence[Setting], present: Setting, values: Values) -> int:
    """Return the setting nearest to the present one of those that are as good as the best.

    As good is a mean behind the best by no more than the standard error of their difference
    (Breiman, Friedman, Olshen and Stone, 1984, "Classification and Regression Trees": the rule of
    one standard error). The best of hundreds is so by luck in part; without this, flat stretches
    would be chosen from at random, and what one query prefers would decide.
    """
    good = as_good_as_the_best(values)
    return settings.index(nearest([settings[place] for place in good], present))


def as_good_as_the_best(values: Values) -> list[int]:
    """Return the rows [settings, queries] that are within the standard error of the best."""
    behind = values[values.mean(axis=1).argmax()] - values
    error = behind.std(axis=1, ddof=1) / np.sqrt(behind.shape[1])
    good: list[int] = np.flatnonzero(behind.mean(axis=1) <= error + _ROUNDING).tolist()
    return good


def _curve(
    settings: Sequence[Setting], tuned: Setting, values: Values
) -> tuple[tuple[Setting, float], ...]:
    means = values.mean(axis=1).tolist()
    return tuple(
        (setting, mean)
        for setting, mean in zip(settings, means, strict=True)
        if tuned.fusion is None
        or (setting.depth, setting.title_weight) == (tuned.depth, tuned.title_weight)
    )
