"""The one kernel that scores vectors: dot products whose sums no order of adding can change.

A stored float16 number is a multiple of 2**-24; a query's is rounded to multiples of 2**-28. So a
product is a multiple of 2**-52, and while the norms of row and query multiply to at most 2, no sum
of products is above 2 (Cauchy and Schwarz): each is a whole number of at most 53 bits in such
units, which float64 holds exactly. What a matrix product gives is then what row by row gives.
"""

import numpy as np
from numpy.typing import NDArray

_UNITS = 2.0**28
# Rows that are widened to float64 at once, small enough for a processor's cache.
_BLOCK = 512
# Norms may multiply to 2; a row's is a float32 sum, and up to 80,000 dimensions it is off by less
# than the half of a percent that is left here.
_MOST = 1.99


def is_exact(greatest_norm: float, queries: NDArray[np.float32]) -> bool:
    """Tell whether sums over rows of at most this norm are exact for queries [queries, dimension].

    They are where vectors have the norm 1, up to their rounding.
    """
    norms = np.linalg.norm(_rounded(queries), axis=1)
    return bool(greatest_norm * norms.max(initial=0.0) <= _MOST)


def products(rows: NDArray[np.float16], query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Multiply rows [rows, dimension] with a query, one by one, rounded to float32: [rows]."""
    sums: NDArray[np.float64] = np.einsum("ij,j->i", rows.astype(np.float64), _rounded(query))
    return sums.astype(np.float32).astype(np.float64)


def all_products(rows: NDArray[np.float16], queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply each row with each query, as `products` would where sums are exact.

    [rows, dimension], [queries, dimension] -> [queries, rows]; a few rows at a time are widened.
    """
    rounded = _rounded(queries)
    found = np.empty((len(queries), len(rows)), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK].astype(np.float64)
        found[:, start : start + len(block)] = rounded @ block.T
    return found


def _rounded(query: NDArray[np.float32]) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = np.rint(query.astype(np.float64) * _UNITS) / _UNITS
    return rounded
