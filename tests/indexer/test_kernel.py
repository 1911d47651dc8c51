"""The kernel's sums against Python's fractions, and its exactness in any order."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.kernel import all_products, is_exact, products

DIMENSION = 384
SEEDS = st.integers(0, 2**32 - 1)


def unit(count: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION))
    # Some that are far below the others, down to float16's subnormal numbers.
    rows[:, ::7] *= 1e-5
    normed: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
        np.float32
    )
    return normed


@given(seed=SEEDS)
def test_sums_are_those_of_fractions(seed: int) -> None:
    rows, query = unit(3, seed).astype(np.float16), unit(1, seed + 1)[0]
    rounded = [Fraction(round(Fraction(float(each)) * 2**28), 2**28) for each in query]
    for row, score in zip(rows, products(rows, query).tolist(), strict=True):
        exact = sum((Fraction(float(a)) * b for a, b in zip(row, rounded, strict=True)), Fraction())
        assert score == float(np.float32(float(exact)))
        assert abs(score - float(row.astype(float) @ query.astype(float))) < 1e-6


@settings(max_examples=25)
@given(seed=SEEDS, order=st.randoms(use_true_random=False), count=st.integers(1, 40))
def test_no_order_of_adding_and_no_company_changes_a_score(
    seed: int, order: "np.random.Generator", count: int
) -> None:
    rows, queries = unit(700, seed).astype(np.float16), unit(count, seed + 1)
    assert is_exact(float(np.linalg.norm(rows.astype(float), axis=1).max()), queries)
    together = all_products(rows, queries)
    shuffled = list(range(DIMENSION))
    order.shuffle(shuffled)
    places = np.array(shuffled)
    for query, row in zip(queries, together, strict=True):
        alone = products(rows, query)
        assert np.array_equal(row.astype(np.float64), alone)
        assert np.array_equal(products(rows[:, places], query[places]), alone)


def test_long_vectors_are_not_said_to_be_exact() -> None:
    queries = unit(2, 1)
    assert not is_exact(1.0, queries * 3)
    assert not is_exact(2.5, queries)
    assert is_exact(1.0, np.zeros((0, DIMENSION), dtype=np.float32))


def test_norms_are_of_the_queries_as_they_are_multiplied() -> None:
    query = np.array([[0.75 * 2**-28]], dtype=np.float32)  # a whole unit when rounded
    assert is_exact(1.9 * 2**28, query)
    assert not is_exact(2.1 * 2**28, query)


def test_a_bound_that_leaves_room_for_the_rounding_of_a_rows_norm() -> None:
    query = np.zeros((1, DIMENSION), dtype=np.float32)
    query[0, 0] = 1
    assert is_exact(1.99, query)
    assert not is_exact(1.9999999, query)


@settings(max_examples=25)
@given(seed=SEEDS, order=st.randoms(use_true_random=False))
def test_sums_at_the_bound_are_exact_in_any_order(seed: int, order: "np.random.Generator") -> None:
    row = np.abs(unit(1, seed)) * np.float32(1.4)
    rows, queries = row.astype(np.float16), row.astype(np.float16).astype(np.float32)
    norm = float(np.linalg.norm(rows.astype(float)))
    queries *= np.float32(1.989 / norm**2)
    assert is_exact(norm, queries)
    expected = sum(
        (
            Fraction(float(a)) * Fraction(round(Fraction(float(b)) * 2**28), 2**28)
            for a, b in zip(rows[0], queries[0], strict=True)
        ),
        Fraction(),
    )
    wide = rows[0].astype(np.float64)
    shuffled = list(range(DIMENSION))
    order.shuffle(shuffled)
    total = 0.0
    for place in shuffled:  # one after the other, in float64
        total += wide[place] * (np.rint(float(queries[0, place]) * 2**28) / 2**28)
    assert Fraction(total) == expected
    assert float(products(rows, queries[0])[0]) == float(np.float32(total))
