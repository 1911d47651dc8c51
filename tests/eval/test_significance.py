import itertools
import math
import random
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import significance
from eval.results import Comparison
from eval.significance import compare, holm, interval
from indexer.errors import ClozeError

# Student 1908: hours of sleep gained by ten patients on two drugs.
SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
# Darwin 1876, as Fisher 1935 has it: heights of maize, crossed less self-fertilised, 1/8 inch.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]

values = st.lists(
    st.tuples(st.integers(0, 10), st.integers(0, 10)).map(
        lambda pair: (pair[0] / 10, pair[1] / 10)
    ),
    min_size=1,
    max_size=8,
)


def by_query(numbers: "list[float] | list[int]") -> dict[str, float]:
    return {f"q{index}": float(number) for index, number in enumerate(numbers)}


def zeros(like: dict[str, float]) -> dict[str, float]:
    return dict.fromkeys(like, 0.0)


def enumerate_signs(differences: list[float]) -> float:
    """The share of arrangements of signs whose sum is as far from 0."""
    observed = abs(math.fsum(differences)) - 1e-9
    sums = [
        abs(math.fsum(sign * each for sign, each in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(each >= observed for each in sums) / len(sums)


def random_pair(seed: int, queries: int, gain: float) -> tuple[dict[str, float], dict[str, float]]:
    draw = np.random.default_rng(seed)
    baseline = draw.random(queries)
    system = baseline + gain + 0.2 * draw.standard_normal(queries)
    return by_query(system.tolist()), by_query(baseline.tolist())


def test_student_sleep() -> None:
    found = compare(by_query(SLEEP_2), by_query(SLEEP_1))
    assert found.difference == pytest.approx(1.58)
    assert found.p_t == pytest.approx(0.00283, abs=5e-6)
    # t = 4.0621 over the root of the number of patients.
    assert found.effect_size == pytest.approx(4.0621 / math.sqrt(10), abs=1e-5)
    assert (found.wins, found.ties, found.losses) == (9, 1, 0)
    # No difference is below 0, so only all signs equal are as extreme: 2 of 2^9.
    assert found.p_value == found.p_holm == 2 / 2**9


def test_darwin_maize() -> None:
    """Fisher 1935, The design of experiments, section 21: 863 of 32,768 on each side."""
    found = compare(by_query(MAIZE), zeros(by_query(MAIZE)))
    assert found.p_value == 2 * 863 / 2**15
    # The same source: t = 2.148 with 14 degrees of freedom, p = 0.0497.
    assert found.p_t == pytest.approx(0.0497, abs=5e-5)
    assert found.effect_size == pytest.approx(2.148 / math.sqrt(15), abs=1e-4)


@given(values)
def test_equal_to_enumeration(pairs: list[tuple[float, float]]) -> None:
    system = by_query([pair[0] for pair in pairs])
    baseline = by_query([pair[1] for pair in pairs])
    found = compare(system, baseline)
    differences = [system[query] - baseline[query] for query in system]
    assert found.p_value == pytest.approx(enumerate_signs(differences), abs=1e-12)
    assert found.difference == pytest.approx(sum(differences) / len(differences))
    assert found.wins == sum(pair[0] > pair[1] for pair in pairs)
    assert found.losses == sum(pair[0] < pair[1] for pair in pairs)
    assert found.wins + found.ties + found.losses == len(pairs)


@given(values, st.randoms(use_true_random=False))
def test_symmetry_and_names(pairs: list[tuple[float, float]], choose: random.Random) -> None:
    system = by_query([pair[0] for pair in pairs])
    baseline = by_query([pair[1] for pair in pairs])
    # So few permutations that p is sampled where there are several queries.
    found = compare(system, baseline, permutations=20)
    turned = compare(baseline, system, permutations=20)
    assert turned.p_value == found.p_value
    assert turned.p_t == pytest.approx(found.p_t)
    assert turned.difference == -found.difference
    assert turned.effect_size == pytest.approx(-found.effect_size)
    assert (turned.wins, turned.losses) == (found.losses, found.wins)
    names = dict(zip(system, (f"other {index}" for index in range(len(pairs))), strict=True))
    order = list(system)
    choose.shuffle(order)
    renamed = {names[query]: system[query] for query in order}
    again = {names[query]: baseline[query] for query in reversed(order)}
    assert compare(renamed, again, permutations=20) == found


def test_sampling_agrees_with_enumeration() -> None:
    system, baseline = by_query(MAIZE), zeros(by_query(MAIZE))
    exact = compare(system, baseline).p_value
    count = 2**15 - 1
    sampled = {seed: compare(system, baseline, seed=seed, permutations=count) for seed in range(4)}
    assert len({each.p_value for each in sampled.values()}) > 1
    for each in sampled.values():
        # Four standard errors of the share of `count` draws.
        assert each.p_value == pytest.approx(exact, abs=4 * math.sqrt(exact / count))
        # The smoothing leaves a whole number over permutations + 1.
        assert (each.p_value * (count + 1)) % 1 == pytest.approx(0)


def test_sampled_p_is_never_zero() -> None:
    system = by_query([1.0 + index for index in range(40)])
    assert compare(system, zeros(system), permutations=999).p_value == 1 / 1000


@pytest.mark.parametrize("queries", [63, 64, 65, 300])
def test_sampling_is_close_to_the_t_test(queries: int) -> None:
    """With many normal differences the two tests agree."""
    system, baseline = random_pair(queries, queries, 0.03)
    found = compare(system, baseline, permutations=20_000)
    assert 1e-4 < found.p_t < 0.9
    assert found.p_value == pytest.approx(found.p_t, abs=4 * math.sqrt(0.25 / 20_000))


def test_uniform_under_the_null() -> None:
    """With 10 queries of normal noise, exact and 400 times."""
    draw = np.random.default_rng(5)
    p_values = np.array(
        [
            significance._randomisation(np.asarray(draw.standard_normal(10)), 0, 100_000)
            for _ in range(400)
        ]
    )
    for level in (0.05, 0.1, 0.25, 0.5, 0.75):
        share = float(np.mean(p_values <= level))
        assert share == pytest.approx(level, abs=3.5 * math.sqrt(level * (1 - level) / 400))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    system, baseline = random_pair(1, 70, 0.05)
    whole = compare(system, baseline, permutations=3_000)
    assert whole.p_value > 1 / 3_001
    for size in (1, 70 * 7 + 3):
        monkeypatch.setattr(significance, "_BLOCK", size)
        assert compare(system, baseline, permutations=3_000) == whole


def test_seed_decides() -> None:
    system, baseline = random_pair(2, 50, 0.02)
    first = compare(system, baseline, permutations=2_000)
    assert first == compare(system, baseline, permutations=2_000)
    other = compare(system, baseline, seed=1, permutations=2_000)
    assert (first.p_value, first.ci95) != (other.p_value, other.ci95)
    assert replace(first, p_value=0, p_holm=0, ci95=(0, 0)) == replace(
        other, p_value=0, p_holm=0, ci95=(0, 0)
    )


def test_identical_systems() -> None:
    system = by_query([0.1 + 0.2, 1.0, 0.0])
    baseline = by_query([0.3, 1.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(system, baseline)
    assert found == Comparison(
        difference=0.0, ci95=(0.0, 0.0), p_value=1.0, p_holm=1.0, p_t=1.0, effect_size=0.0,
        wins=0, ties=3, losses=0,
    )  # fmt: skip


def test_differences_that_do_not_vary() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = compare({"q": 0.25}, {"q": 0.75})
        same = compare(by_query([0.3, 0.2, 0.9]), by_query([0.2, 0.1, 0.8]))
    assert (one.p_value, one.p_t, one.effect_size, one.ci95) == (1, 1, -math.inf, (-0.5, -0.5))
    assert (same.p_value, same.p_t, same.effect_size) == (2 / 8, 0, math.inf)


def test_interval_by_hand() -> None:
    """The mean of two draws from 0 and 1 is 0, 1/2 or 1, at 1/4, 1/2 and 1/4."""
    assert interval({"a": 0.0, "b": 1.0}) == (0.0, 1.0)
    assert interval({"a": 0.4, "b": 0.4}) == (0.4, 0.4)
    # All 40 draws are 0 with a chance of (39/40)^40 = 0.36, and 3 of them or less with 0.98.
    assert interval(by_query([1.0] + [0.0] * 39)) == (0.0, 3 / 40)


def test_interval_is_that_of_the_normal_for_many() -> None:
    numbers = np.random.default_rng(3).normal(5.0, 2.0, 900)
    half = 1.96 * float(numbers.std()) / 30
    low, high = interval(by_query(numbers.tolist()))
    assert low == pytest.approx(float(numbers.mean()) - half, abs=0.05 * half)
    assert high == pytest.approx(float(numbers.mean()) + half, abs=0.05 * half)
    shuffled = numbers.copy()
    np.random.default_rng(4).shuffle(shuffled)
    assert interval(by_query(shuffled.tolist())) == (low, high)
    assert interval(by_query(numbers.tolist()), seed=9) != (low, high)


def test_difference_and_its_interval_belong_together() -> None:
    system, baseline = random_pair(4, 200, 0.1)
    found = compare(system, baseline, permutations=100)
    assert found.ci95[0] < found.difference < found.ci95[1]
    paired = {query: system[query] - baseline[query] for query in system}
    low, high = interval(paired)
    assert found.ci95 == pytest.approx((low, high), abs=0.05 * (high - low))


@pytest.mark.parametrize(
    ("raw", "corrected"),
    [
        # 4 x 0.005, 3 x 0.01, 2 x 0.03, then 0.04 lifted to the one before.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
    ],
)
def test_holm(raw: list[float], corrected: list[float]) -> None:
    one = compare({"q": 1.0}, {"q": 0.0})
    before = {f"s{n}": replace(one, p_value=p, p_holm=p) for n, p in enumerate(raw)}
    after = holm(before)
    assert list(after) == list(before)
    assert [each.p_holm for each in after.values()] == pytest.approx(corrected)
    assert {name: replace(each, p_holm=each.p_value) for name, each in after.items()} == before
    assert holm({}) == {}


def test_other_queries_are_refused() -> None:
    with pytest.raises(ClozeError, match="the system has a value for query 'b' and the baseline"):
        compare({"a": 1.0, "b": 1.0}, {"a": 1.0})
    with pytest.raises(ClozeError, match="the baseline has a value for query 'b' and the system"):
        compare({"a": 1.0}, {"a": 1.0, "b": 1.0})
    with pytest.raises(ClozeError, match="no query"):
        compare({}, {})
    with pytest.raises(ClozeError, match="no query"):
        interval({})
