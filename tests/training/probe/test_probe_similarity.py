"""Ridge regression against least squares, rank correlation against scipy's and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from training.probe.similarity import Graded, pair_features, regress, ridge, spearman, unit


def test_ridge_is_least_squares_with_rows_for_the_penalty() -> None:
    choose = np.random.default_rng(0)
    features = choose.normal(size=(50, 6))
    features -= features.mean(0)
    grades = choose.normal(size=50) + 3
    for strength, weights in zip((10.0, 0.1), ridge(features, grades, (10.0, 0.1)), strict=True):
        stacked = np.vstack([features, np.sqrt(50 * strength) * np.eye(6)])
        target = np.concatenate([grades - grades.mean(), np.zeros(6)])
        assert weights == pytest.approx(np.linalg.lstsq(stacked, target, rcond=None)[0], abs=1e-9)


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=3, max_size=30))
def test_correlation_is_scipys_with_ties_too(pairs: list[tuple[int, int]]) -> None:
    found, grades = np.array(pairs, dtype=float).T
    if len(set(found)) == 1 or len(set(grades)) == 1:
        assert spearman(found, grades) == 0.0
    else:
        assert spearman(found, grades) == pytest.approx(spearmanr(found, grades).statistic)


def test_correlation_by_hand() -> None:
    # Ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * (1 + 1) / (4 * 15) = 0.8.
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([10.0, 30, 20, 40])) == pytest.approx(0.8)
    assert spearman(np.array([1.0, 2, 3]), np.array([9.0, 4, 1])) == pytest.approx(-1)


def test_features_of_a_pair_by_hand() -> None:
    left = np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    right = np.array([[0.0, 2.0], [1.0, 0.0]], dtype=np.float32)
    expected = [[0.6, 0.2, 0.0, 0.8], [1.0, 0.0, 0.0, 0.0]]
    assert pair_features(left, right).tolist() == [pytest.approx(row) for row in expected]
    assert unit(left).tolist() == [pytest.approx([0.6, 0.8]), [0.0, 0.0]]


def test_a_grade_that_is_linear_in_the_features_is_found() -> None:
    choose = np.random.default_rng(1)
    weights = choose.normal(size=4)
    train, dev, test = (
        Graded(features=rows, grades=rows @ weights + 2)
        for rows in (choose.normal(size=(count, 4)) for count in (60, 20, 30))
    )
    assert regress(train, dev, test, (1e-6,)).correlation == pytest.approx(1)


def test_the_strength_is_chosen_on_dev() -> None:
    choose = np.random.default_rng(2)
    features = choose.normal(size=(30, 25))
    signal = features[:, 0]
    train = Graded(features=features, grades=signal + choose.normal(size=30))
    fresh = choose.normal(size=(400, 25))
    dev = Graded(features=fresh, grades=fresh[:, 0])
    strengths = (100.0, 1.0, 1e-9)
    by_hand = [regress(train, dev, dev, (each,)).correlation for each in strengths]
    best = strengths[int(np.argmax(by_hand))]
    assert regress(train, dev, train, strengths).strength == best
    # On its own rows the weakest fits best.
    assert regress(train, train, dev, strengths).strength == 1e-9 != best
