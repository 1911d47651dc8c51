"""The slow oracle of vector searches: every visible passage of a store, scored by numpy."""

import numpy as np
from numpy.typing import NDArray

from indexer.records import PASSAGE_BITS
from indexer.store import Store


def brute_force(
    store: Store, query: NDArray[np.float32], allowed: NDArray[np.int64] | None = None
) -> dict[int, float]:
    """Score every visible document by its best passage, in float64."""
    visible = set(store.numbers(store.sequence).tolist())
    if allowed is not None:
        visible &= set(allowed.tolist())
    scores: dict[int, float] = {}
    for passage, blob in store.vectors(-1):
        number = passage >> PASSAGE_BITS
        if number in visible:
            score = float(np.frombuffer(blob, np.float16).astype(float) @ query.astype(float))
            scores[number] = max(scores.get(number, -np.inf), score)
    return scores
