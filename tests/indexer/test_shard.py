"""A flat shard by itself: the same rows from a scan by FAISS and from its copy in float32."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.shard import Shard

DIMENSION = 24


def rows(count: int, seed: int) -> NDArray[np.float16]:
    found = np.random.default_rng(seed).normal(size=(count, DIMENSION))
    unit: NDArray[np.float16] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(
        np.float16
    )
    return unit


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    limit=st.integers(1, 30),
    seed=st.integers(0, 999),
    share=st.sampled_from([1.0, 0.6]),
)
def test_the_best_rows_are_the_same_however_often_it_was_searched(
    counts: list[int], limit: int, seed: int, share: float
) -> None:
    random = np.random.default_rng(seed)
    query = rows(1, seed + 1)[0].astype(np.float32)
    often = Shard(DIMENSION)
    once = Shard(DIMENSION)
    for number, count in enumerate(counts):  # the copy grows with the rows
        new = rows(count, seed + 2 + number)
        numbers = np.arange(often.size, often.size + count) << 20
        often.add(numbers, new)
        once.add(numbers, new)
        mask = random.random(often.size) < share
        for _ in range(6):
            found = often.propose(query, limit, mask)
        fresh = Shard(DIMENSION)
        fresh.add(once.ids, once.stored(np.arange(once.size)))
        expected = fresh.propose(query, limit, mask)
        exact = dict(zip(range(often.size), fresh.score(np.arange(often.size), query), strict=True))
        assert found.exact == expected.exact
        best = sorted((exact[row] for row in found.rows.tolist()), reverse=True)
        assert np.allclose(
            best, sorted((exact[row] for row in expected.rows.tolist()), reverse=True), atol=1e-6
        )
        left_out = set(np.flatnonzero(mask).tolist()) - set(found.rows.tolist())
        assert all(exact[row] <= found.bound + 1e-6 for row in left_out)
        assert np.allclose(found.scores, [exact[row] for row in found.rows.tolist()], atol=1e-6)
