"""Calibration: against statsmodels and a formula, by hand, and where the truth is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.runtime.probability import Sigmoid, read_calibration, write_calibration
from training.calibration import (
    ISOTONIC,
    SIGMOID,
    Scored,
    calibrate,
    fit_points,
    fit_sigmoid,
    probabilities,
)
from training.reliability import BINS, draw_reliability, reliability

PAIRS = st.lists(
    st.tuples(st.integers(-20, 20).map(lambda each: each / 4), st.booleans()),
    min_size=2, max_size=60,
)  # fmt: skip


def drawn(count: int, slope: float, intercept: float, seed: int = 0) -> Scored:
    """Pairs of 20 a query whose probability is a known sigmoid of the score."""
    chance = np.random.default_rng(seed)
    scores = chance.normal(0, 3, count)
    truth = 1 / (1 + np.exp(-(slope * scores + intercept)))
    return Scored(
        scores=scores, relevant=chance.random(count) < truth, queries=np.arange(count) // 20
    )


def test_a_sigmoid_is_the_maximum_of_likelihood() -> None:
    import statsmodels.api as sm

    scored = drawn(3000, 0.7, -2.0)
    count = int(scored.relevant.sum())
    targets = np.where(scored.relevant, (count + 1) / (count + 2), 1 / (3000 - count + 2))
    design = np.stack([scored.scores, np.ones(3000)], axis=1)
    expected = sm.GLM(targets, design, sm.families.Binomial()).fit().params
    found = fit_sigmoid(scored.scores, scored.relevant)
    assert (found.slope, found.intercept) == pytest.approx(tuple(expected), rel=1e-4)
    assert (found.slope, found.intercept) == pytest.approx((0.7, -2.0), abs=0.15)


@given(pairs=PAIRS)
def test_a_sigmoid_never_falls_and_is_finite(pairs: list[tuple[float, bool]]) -> None:
    scores, relevant = (np.array(each) for each in zip(*pairs, strict=True))
    found = fit_sigmoid(scores, relevant)
    assert found.slope >= 0
    assert np.isfinite([found.slope, found.intercept]).all()
    # The mean of the targets is met, as any maximum with a free bias meets it.
    count = relevant.sum()
    targets = np.where(relevant, (count + 1) / (count + 2), 1 / (len(relevant) - count + 2))
    assert probabilities(found, scores).mean() == pytest.approx(targets.mean(), abs=1e-4)


@given(pairs=PAIRS)
def test_points_are_isotonic_regression(pairs: list[tuple[float, bool]]) -> None:
    """At each score: the greatest of the least means of all stretches around it."""
    scores, relevant = (np.array(each) for each in zip(*pairs, strict=True))
    count = relevant.sum()
    low, high = 1 / (len(relevant) - count + 2), (count + 1) / (count + 2)
    asked = np.unique(scores)
    expected = [
        max(
            min(relevant[(first <= scores) & (scores <= last)].mean() for last in asked[place:])
            for first in asked[: place + 1]
        )
        for place in range(len(asked))
    ]
    expected = np.clip(expected, low, high)
    assert probabilities(fit_points(scores, relevant), asked) == pytest.approx(expected, abs=1e-9)


def test_points_by_hand() -> None:
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    relevant = np.array([False, True, False, False, True, True])
    curve = fit_points(scores, relevant)
    # Scores 2 to 4 are pooled; 0 and 1 are drawn in to 1 / (3 + 2) and (3 + 1) / (3 + 2).
    assert curve.scores == (1.0, 2.0, 4.0, 5.0, 6.0)
    assert curve.probabilities == pytest.approx((0.2, 1 / 3, 1 / 3, 0.8, 0.8))


def test_the_error_of_bins_by_hand() -> None:
    values = np.array([0.1] * 10 + [0.8] * 10)
    relevant = np.array([True] * 3 + [False] * 7 + [True] * 5 + [False] * 5)
    found = reliability(values, relevant)
    for each, expected in zip(found.bins, [(0.1, 0.3, 10), (0.8, 0.5, 10)], strict=True):
        assert (each.probability, each.relevant, each.count) == pytest.approx(expected)
    assert found.ece == pytest.approx((0.2 + 0.3) / 2)
    assert found.brier == pytest.approx((3 * 0.81 + 7 * 0.01 + 5 * 0.04 + 5 * 0.64) / 20)


@given(seed=st.integers(0, 20), count=st.integers(1, 13).map(lambda each: each * BINS))
def test_bins_have_equal_mass_and_no_order(seed: int, count: int) -> None:
    chance = np.random.default_rng(seed)
    values, relevant = chance.random(count), chance.random(count) < 0.3
    found = reliability(values, relevant)
    order = chance.permutation(count)
    assert reliability(values[order], relevant[order]).ece == pytest.approx(found.ece)
    assert len(found.bins) == BINS
    counts = [each.count for each in found.bins]
    assert set(counts) == {count // BINS}
    expected = 0.0
    for part in np.array_split(np.argsort(values), BINS):
        expected += abs((values[part] - relevant[part]).sum()) / count
    assert found.ece == pytest.approx(expected)


@given(count=st.integers(1, 200))
def test_any_number_of_pairs_is_in_bins_of_like_size(count: int) -> None:
    found = reliability(np.arange(count) / 200, np.zeros(count, bool))
    counts = [each.count for each in found.bins]
    assert sum(counts) == count
    assert max(counts) - min(counts) <= 1


def test_the_truth_is_found_and_the_error_falls() -> None:
    scored = drawn(6000, 0.4, -1.5)
    found = calibrate(scored)
    assert found is not None
    assert found.pairs == 6000
    assert found.calibration.prior == pytest.approx(scored.relevant.mean())
    after = found.after[found.method]
    assert after.ece == min(each.ece for each in found.after.values())
    assert after.ece < 0.03 < 0.1 < found.before.ece
    assert after.brier < found.before.brier
    truth = Sigmoid(slope=0.4, intercept=-1.5)
    for score in (-5.0, -1.0, 0.0, 2.0, 6.0):
        assert found.calibration.curve(score) == pytest.approx(truth(score), abs=0.1)


def test_a_curve_that_is_no_sigmoid_is_isotonic() -> None:
    chance = np.random.default_rng(1)
    scores = chance.uniform(-3, 3, 8000)
    truth = np.select([scores < -1, scores < 1], [0.02, 0.5], 0.6)
    scored = Scored(
        scores=scores, relevant=chance.random(8000) < truth, queries=np.arange(8000) // 20
    )
    found = calibrate(scored)
    assert found is not None
    assert found.method == ISOTONIC
    assert found.after[ISOTONIC].ece < found.after[SIGMOID].ece
    assert found.calibration.curve(-2.0) == pytest.approx(0.02, abs=0.03)
    assert found.calibration.curve(0.0) == pytest.approx(0.5, abs=0.05)


def test_what_is_fitted_is_judged_on_other_queries() -> None:
    """Scores that tell nothing, but the same for all pairs of a query, deceive no fold."""
    chance = np.random.default_rng(2)
    queries = np.arange(400) // 20
    kinds = chance.random(20) < 0.5
    relevant = kinds[queries] ^ (np.arange(400) % 20 == 0)
    scored = Scored(scores=chance.random(20)[queries], relevant=relevant, queries=queries)
    found = calibrate(scored)
    assert found is not None
    seen = reliability(probabilities(fit_points(scored.scores, relevant), scored.scores), relevant)
    assert found.after[ISOTONIC].brier > seen.brier + 0.05


@pytest.mark.parametrize(
    ("queries", "relevant"),
    [([0, 0, 1, 1, 2, 2, 3, 3], [1, 0] * 4), (list(range(10)), [1] * 10), ([0] * 8, [1, 0] * 4),
     ([0, 1, 2, 3, 4, 4], [0, 0, 0, 0, 0, 1])],
)  # fmt: skip
def test_too_little_is_not_calibrated(queries: list[int], relevant: list[int]) -> None:
    scores = np.linspace(-1, 1, len(queries))
    scored = Scored(
        scores=scores, relevant=np.array(relevant, bool), queries=np.array(queries, np.int64)
    )
    assert calibrate(scored) is None


def test_separable_and_constant_scores_are_written_and_read(tmp_path: Path) -> None:
    queries, relevant = np.arange(100) // 5, np.arange(100) % 5 == 0
    for scores in (np.where(relevant, 1e3, -1e3), np.zeros(100)):
        found = calibrate(Scored(scores=scores, relevant=relevant, queries=queries))
        assert found is not None
        for fit in (fit_sigmoid, fit_points):
            curve = fit(scores, relevant)
            assert probabilities(curve, scores).mean() == pytest.approx(0.2, abs=0.02)
        write_calibration(tmp_path, found.calibration)
        assert read_calibration(tmp_path, "it") == found.calibration


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    found = calibrate(drawn(2000, 0.4, -2.5))
    assert found is not None
    path = tmp_path / "reliability.png"
    draw_reliability(found.before, found.after[found.method], path)
    assert path.read_bytes().startswith(b"\x89PNG")
