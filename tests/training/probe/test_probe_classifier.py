"""Logistic regression: at its optimum, chosen on dev, judged on test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from training.probe.classifier import STRENGTHS, Labelled, classify, fit, predict, standardise

Floats = NDArray[np.float64]


def noisy(seed: int, rows: int = 80, features: int = 5, classes: int = 3) -> Labelled:
    choose = np.random.default_rng(seed)
    numbers = choose.integers(0, classes, rows)
    centres = choose.normal(size=(classes, features))
    return Labelled(
        features=centres[numbers] + choose.normal(size=(rows, features)), classes=numbers
    )


def cost(weights: Floats, data: Labelled, strength: float) -> float:
    """The oracle: the function row by row, as its formula stands."""
    total = 0.0
    for row, number in zip(data.features, data.classes, strict=True):
        scores = [row @ weights[:-1, each] + weights[-1, each] for each in range(weights.shape[1])]
        total -= np.log(np.exp(scores[number]) / np.sum(np.exp(scores)))
    return float(total / len(data.classes) + strength / 2 * np.sum(weights[:-1] ** 2))


@settings(max_examples=6)
@given(seed=st.integers(0, 100), strength=st.sampled_from([1.0, 0.1, 0.01]))
def test_no_weight_can_be_moved_to_a_lower_cost(seed: int, strength: float) -> None:
    data = noisy(seed, rows=40, features=3)
    weights = fit(data, strength)
    step = 1e-4
    for place in np.ndindex(weights.shape):
        up, down = weights.copy(), weights.copy()
        up[place] += step
        down[place] -= step
        slope = (cost(up, data, strength) - cost(down, data, strength)) / (2 * step)
        assert abs(slope) < 1e-4


def test_where_it_begins_does_not_matter() -> None:
    data = noisy(5)
    far = np.random.default_rng(6).normal(size=(6, 3)) * 3
    zero, other = fit(data, 0.05), fit(data, 0.05, far)
    assert np.abs(zero[:-1] - other[:-1]).max() < 1e-3


def test_under_the_strongest_regularisation_only_frequencies_are_left() -> None:
    data = Labelled(features=noisy(1).features[:4], classes=np.array([0, 0, 0, 1]))
    weights = fit(data, 1e6)
    assert np.abs(weights[:-1]).max() < 1e-5
    chances = np.exp(weights[-1]) / np.exp(weights[-1]).sum()
    assert chances == pytest.approx([0.75, 0.25], abs=1e-4)


def test_sparse_features_give_what_dense_ones_give() -> None:
    data = noisy(2)
    thinned = np.where(np.abs(data.features) < 0.7, 0, data.features)
    dense = fit(Labelled(features=thinned, classes=data.classes), 0.1)
    sparse = fit(Labelled(features=csr_array(thinned), classes=data.classes), 0.1)
    assert np.abs(dense - sparse).max() < 1e-3
    assert (predict(thinned, dense) == predict(csr_array(thinned), sparse)).all()


def test_the_strength_is_chosen_on_dev() -> None:
    # Train's second feature gives its labels away, and dev's contradicts them: the stronger the
    # better on dev, whatever test says.
    choose = np.random.default_rng(3)
    numbers = np.array([0, 1] * 30)
    signs = 2.0 * numbers - 1
    train = Labelled(
        features=np.stack([signs + choose.normal(0, 1.2, 60), 0.4 * signs], 1), classes=numbers
    )
    dev = Labelled(features=np.stack([signs, -0.9 * signs], 1), classes=numbers)
    right = [
        float(np.mean(predict(dev.features, fit(train, each)) == numbers)) for each in (1.0, 1e-4)
    ]
    assert right[0] > right[1]  # the premise
    assert classify(train, dev, train, (1.0, 1e-4)).strength == 1.0
    assert classify(train, train, dev, (1.0, 1e-4)).strength == 1e-4


def test_test_rows_are_judged_one_by_one_and_unknown_classes_are_never_right() -> None:
    train = Labelled(features=np.array([[-1.0], [1.0]] * 5), classes=np.array([0, 1] * 5))
    test = Labelled(
        features=np.array([[-2.0], [2.0], [2.0], [-2.0]]), classes=np.array([0, 1, 0, -1])
    )
    found = classify(train, train, test)
    assert found.right.tolist() == [True, True, False, False]
    assert found.strength == max(STRENGTHS)  # of equals on dev


def test_features_are_scaled_by_the_first_part_alone() -> None:
    first = np.array([[1.0, 7.0], [3.0, 7.0]])
    scaled, other = standardise(first, np.array([[5.0, 8.0]]))
    assert scaled.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert other.tolist() == [[3.0, 0.0]]
