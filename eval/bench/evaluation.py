"""Scoring and testing against the tools that do the same, one after the other on the same runs."""

import random
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import ir_measures
import numpy as np

from eval.bench.figures import machine
from eval.measures import DEFAULT_MEASURES, score
from eval.runs import Run
from eval.significance import compare

_GRADED = 50
_BATCH = 1000


def bench_evaluation(
    queries: int, hits: int, permutations: int, rounds: int, threads: int
) -> dict[str, Any]:
    """Score random runs and test a random difference, in turn with ir-measures and scipy.

    ir-measures scores the same measures of the same run by itself; scipy's permutation test draws
    the signs of the same differences.
    """
    rng = random.Random(0)
    documents = [f"d{number}" for number in range(hits)]
    qrels = {
        f"q{number}": {document: rng.randint(0, 3) for document in rng.sample(documents, _GRADED)}
        for number in range(queries)
    }
    run = Run(
        name="random",
        ranked={
            query: [(each, float(-place)) for place, each in enumerate(rng.sample(documents, hits))]
            for query in qrels
        },
    )
    theirs = {query: dict(ranked) for query, ranked in run.ranked.items()}
    measures = [ir_measures.parse_measure(name) for name in DEFAULT_MEASURES]
    ours = {query: rng.random() for query in qrels}
    others = {query: value + rng.gauss(0, 0.1) for query, value in ours.items()}
    differences = np.array([others[query] - ours[query] for query in qrels])

    scoring = _in_turn(
        rounds,
        lambda: score(qrels, run, DEFAULT_MEASURES),
        lambda: list(ir_measures.iter_calc(measures, qrels, theirs)),
    )
    testing = _in_turn(
        rounds,
        lambda: compare(others, ours, permutations=permutations),
        lambda: _scipy_test(differences, permutations),
    )
    return {
        "bench": "evaluation",
        "queries": queries,
        "hits": hits,
        "permutations": permutations,
        "score_s": scoring[0],
        "ir_measures_s": scoring[1],
        "score_ratio": scoring[2],
        "test_s": testing[0],
        "scipy_s": testing[1],
        "test_ratio": testing[2],
        "machine": machine(threads),
    }


def _scipy_test(differences: np.ndarray[Any, Any], permutations: int) -> None:
    from scipy.stats import permutation_test

    permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=permutations,
        batch=_BATCH, vectorized=True, rng=0,
    )  # fmt: skip


def _in_turn(
    rounds: int, ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[float, float, float]:
    """Return the median seconds of both, and the median of theirs over ours, round by round."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, taken in zip((ours, theirs), times, strict=True):
            begin = perf_counter()
            function()
            taken.append(perf_counter() - begin)
    ratio = median(their / our for our, their in zip(*times, strict=True))
    return round(median(times[0]), 3), round(median(times[1]), 3), round(ratio, 2)
