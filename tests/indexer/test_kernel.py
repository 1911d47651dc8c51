"""The kernel's sums against Python's fractions, and its exactness in any order."""

from fractions import Fraction

import numpy as np
from hypothesis import given
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
