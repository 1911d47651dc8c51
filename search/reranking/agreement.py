"""The precision of a cross-encoder: the fastest that agrees with fp32 on an index's texts."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from indexer.caches import cache_home
from indexer.index import Index
from indexer.passages import sentences
from indexer.runtime.precision import FINER, Precision, is_automatic, resolve

if TYPE_CHECKING:
    from indexer.runtime.classifier import ClassifierCheckpoint

# The least correlation (Pearson's) of a precision's scores with those in float32.
LEAST_CORRELATION = 0.99
_DOCUMENTS = 32
_LENGTH = 1000

Pairs = list[tuple[str, str]]
# Scores pairs in a precision.
Predict = Callable[[Precision, Pairs], NDArray[np.float32]]


def agreed_precision(
    index: Index, checkpoint: "ClassifierCheckpoint", predict: Predict
) -> Precision:
    """Return the precision that a cross-encoder is to score an index in.

    Where the choice is left to us, it is the fastest whose scores of 64 pairs of this index
    correlate with those in fp32; a finer one is told in a notice. What was found is remembered in
    the cache for these pairs and this checkpoint.

    Raises:
        ClozeError: the checkpoint can't be loaded, or there is no such precision here.
    """
    precision = resolve(index.precision, index.device)
    if precision == "fp32" or not is_automatic(index.precision):
        return precision
    pairs = _pairs(index)
    path = cache_home() / "agreement" / f"{_key(checkpoint, precision, pairs)}.json"
    try:
        return cast(Precision, json.loads(path.read_bytes())["precision"])
    except (OSError, ValueError, KeyError, TypeError):
        found = _measured(index, checkpoint, precision, pairs, predict)
    with contextlib.suppress(OSError):  # a cache that can't be written is measured for each time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"precision": found}))
    return found


def _measured(
    index: Index,
    checkpoint: "ClassifierCheckpoint",
    precision: Precision,
    pairs: Pairs,
    predict: Predict,
) -> Precision:
    exact = predict("fp32", pairs)
    while precision != "fp32":
        if (found := correlation(predict(precision, pairs), exact)) >= LEAST_CORRELATION:
            return precision
        finer = FINER[precision]
        index.notices.append(
            f"{checkpoint.name} loses too much in {precision} (correlation with fp32 {found:.4f} "
            f"on {len(pairs)} pairs of this index, at least {LEAST_CORRELATION} is needed): "
            f"{finer} is used"
        )
        precision = finer
    return precision


def correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return Pearson's correlation; 1 where the scores are equal, else 0 where one is constant."""
    if (first == second).all():
        return 1.0
    x, y = first.astype(np.float64), second.astype(np.float64)
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm else 0.0


def _pairs(index: Index) -> Pairs:
    """Pair the first documents' titles or first sentences with their own text and the next's."""
    with index.store.snapshot():
        documents = [document for _, document in islice(index.store.all_live(), _DOCUMENTS)]
    texts = [document.text[:_LENGTH] for document in documents]
    queries = [
        document.title or next(sentences(document.text[:_LENGTH]), "") for document in documents
    ]
    shifted = texts[1:] + texts[:1]
    return [*zip(queries, texts, strict=True), *zip(queries, shifted, strict=True)]


def _key(checkpoint: "ClassifierCheckpoint", precision: Precision, pairs: Pairs) -> str:
    facts = [checkpoint.content_hash, precision, pairs]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
