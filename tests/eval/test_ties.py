import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.measures import score
from eval.runs import Ranked, Run
from eval.ties import tie_range

MEASURES = ["nDCG@3", "RR@3", "P@2", "AP", "AP@2", "R@3", "Success@1", "Judged@2", "P(rel=2)@2"]
OTHERS = ["nDCG(gains={0:2,1:9})@3", "P(judged_only=True)@2", "Bpref", "RR"]

grades = st.dictionaries(st.sampled_from("abcdef"), st.integers(-1, 3), min_size=1)
# 1 + 1e-12 equals 1 as float32.
answers = st.dictionaries(
    st.sampled_from("abcdefg"), st.sampled_from([2.0, 1.0, 1.0 + 1e-12, -1e300]), max_size=6
)


def best_first(scores: dict[str, float]) -> Ranked:
    return sorted(scores.items(), key=lambda hit: -hit[1])


def orders(ranked: Ranked) -> list[Ranked]:
    """Every order that equal scores leave open."""
    groups = [list(group) for _, group in itertools.groupby(ranked, lambda hit: as_float32(hit[1]))]
    arranged = itertools.product(*(itertools.permutations(group) for group in groups))
    return [list(itertools.chain.from_iterable(order)) for order in arranged]


def as_float32(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


@given(grades, answers, st.sampled_from([*MEASURES, *OTHERS]))
def test_no_order_is_outside_the_range(
    judged: dict[str, int], scores: dict[str, float], measure: str
) -> None:
    ranked = best_first(scores)
    every = {str(index): order for index, order in enumerate(orders(ranked))}
    values = score(dict.fromkeys(every, judged), Run(name="r", ranked=every), [measure])[measure]
    found = tie_range({"q": judged}, Run(name="r", ranked={"q": ranked}), measure)
    assert found.low == pytest.approx(min(values.values()), abs=1e-12)
    assert found.high == pytest.approx(max(values.values()), abs=1e-12)


def test_several_queries() -> None:
    tied = [("x", 1.0), ("a", 1.0)]
    ranked = {"tied": tied, "clear": [("x", 2.0), ("a", 1.0)], "unjudged": tied, "empty": []}
    qrels = {query: {"a": 1} for query in ("tied", "clear", "empty", "absent")}
    found = tie_range(qrels, Run(name="r", ranked=ranked), "RR@10")
    assert (found.queries, found.low, found.high) == (1, (0.5 + 0.5) / 4, (1 + 0.5) / 4)


@pytest.mark.parametrize(
    ("measure", "queries"),
    [("P@1", 0), ("P@2", 1), ("P@3", 1), ("P@9", 1), ("AP", 1), ("P(judged_only=True)@1", 1)],
)
def test_ties_below_the_cutoff_do_not_count(measure: str, queries: int) -> None:
    """The second and third are tied."""
    ranked = [("a", 3.0), ("b", 2.0), ("c", 2.0), ("d", 1.0)]
    found = tie_range({"q": {"c": 1}}, Run(name="r", ranked={"q": ranked}), measure)
    assert found.queries == queries


def test_judged_first_and_last() -> None:
    run = Run(name="r", ranked={"q": [("a", 1.0), ("x", 1.0), ("b", 1.0), ("y", 1.0)]})
    found = tie_range({"q": {"a": 0, "b": -1}}, run, "Judged@2")
    assert (found.queries, found.low, found.high) == (1, 0.0, 1.0)


def test_scores_that_differ_only_beyond_float32_are_tied() -> None:
    for above, queries in ((0.1 + 1e-10, 1), (0.1 + 1e-7, 0)):
        run = Run(name="r", ranked={"q": [("x", above), ("a", 0.1)]})
        found = tie_range({"q": {"a": 1}}, run, "RR@10")
        assert found.queries == queries
        assert (found.low, found.high) == (0.5, 1.0 if queries else 0.5)
