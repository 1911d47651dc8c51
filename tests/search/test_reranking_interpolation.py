"""The sum of first-stage and rerank scores, against the formula in plain Python."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.reranking.interpolation import interpolate

VALUES = st.one_of(st.sampled_from([0.0, 1.0, 0.5, -2.0]), st.floats(-1e6, 1e6, width=32))
# So that scaling never makes two that differ equal.
APART = st.integers(-1000, 1000).map(float)


def scaled(score: float, scores: list[float]) -> float:
    least, best = min(scores), max(scores)
    return 1.0 if least == best else (score - least) / (best - least)


def by_hand(first: list[float], raw: list[float], weight: float) -> list[float]:
    known = [score for score in raw if not math.isnan(score)]
    made = []
    for row, score in enumerate(first):
        if row >= len(raw):
            made.append(score - (min(first[: len(raw)]) if raw else 0.0) - 1)
            continue
        own = scaled(score, first[: len(raw)])
        other = own if math.isnan(raw[row]) else scaled(raw[row], known)
        made.append((1 - weight) * own + weight * other)
    return made


def lists(data: st.DataObject, values: st.SearchStrategy[float], missing: bool) -> Any:  # noqa: ANN401
    first = sorted(data.draw(st.lists(values, max_size=12)), reverse=True)
    pool = data.draw(st.integers(0, len(first)))
    each = st.one_of(st.just(math.nan), values) if missing else values
    raw = data.draw(st.lists(each, min_size=pool, max_size=pool))
    return first, raw, data.draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))


@given(st.data())
def test_it_is_the_formula(data: st.DataObject) -> None:
    first, raw, weight = lists(data, VALUES, missing=True)
    made = interpolate(np.array(first, dtype=float), np.array(raw, dtype=float), weight)
    assert made.final.tolist() == pytest.approx(by_hand(first, raw, weight), abs=1e-9)
    pool = len(raw)
    assert all(0 <= score <= 1 for score in made.final[:pool].tolist())
    assert not pool or all(score <= -1 for score in made.final[pool:].tolist())
    parts = zip(made.first.tolist(), made.rerank.tolist(), made.final.tolist(), strict=False)
    assert all((1 - weight) * one + weight * two == whole for one, two, whole in parts)


@given(st.data())
def test_the_whole_weight_on_one_is_its_order(data: st.DataObject) -> None:
    first, raw, _ = lists(data, APART, missing=False)
    scores = np.array(first, dtype=float), np.array(raw, dtype=float)
    alone = interpolate(*scores, 0.0).final.tolist()
    assert alone == sorted(alone, reverse=True)
    ties = [one == two for one, two in pairwise(first)]
    if 0 < len(raw) < len(first):
        ties[len(raw) - 1] = False  # the pool stays in front
    assert [one == two for one, two in pairwise(alone)] == ties
    reranked = interpolate(*scores, 1.0).final.tolist()[: len(raw)]
    assert np.array_equal(np.argsort(reranked, kind="stable"), np.argsort(raw, kind="stable"))


def test_by_hand() -> None:
    first, raw = np.array([9.0, 7.0, 5.0, 4.0, 1.0]), np.array([-3.0, math.nan, 1.0])
    made = interpolate(first, raw, 0.25)
    assert made.first.tolist() == [1.0, 0.5, 0.0, -2.0, -5.0]
    assert made.rerank.tolist() == [0.0, 0.5, 1.0]
    assert made.final.tolist() == [0.75, 0.5, 0.25, -2.0, -5.0]
    equal = interpolate(np.array([2.0, 2.0, 2.0]), np.array([3.0, 3.0]), 0.5)
    assert equal.final.tolist() == [1.0, 1.0, -1.0]
    none = interpolate(np.array([2.0, 1.0]), np.array([math.nan, math.nan]), 0.9)
    assert none.final.tolist() == [1.0, 0.0]
