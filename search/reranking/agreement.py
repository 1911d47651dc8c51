"""The precision of a cross-encoder: the fastest that agrees with fp32 on an index's texts."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.caches import cache_home
from indexer.index import Index
from indexer.passages import sentences
from indexer.runtime.calibration import CALIBRATION_HASH, calibration_texts
from indexer.runtime.precision import (
    Precision,
    finer,
    is_automatic,
    processor_flags,
    resolve,
)

if TYPE_CHECKING:
    from indexer.runtime.classifier import ClassifierCheckpoint

# The least correlation (Pearson's) of a precision's scores with those in float32.
LEAST_CORRELATION = 0.99
_DOCUMENTS = 32
_LENGTH = 1000
# With fewer distinct pairs a correlation says little.
_LEAST_DISTINCT = 16
# Raised when what is remembered would be measured otherwise.
_VERSION = 2

Scores = NDArray[np.float32]
# Scores pairs in a precision.
Predict = Callable[[Precision, list[tuple[str, str]]], Scores]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Queries with the texts that they are of, the same with others, and where they come from."""

    own: list[tuple[str, str]]
    other: list[tuple[str, str]]
    source: str

    @property
    def all(self) -> list[tuple[str, str]]:
        """Those that belong together first."""
        return [*self.own, *self.other]


def agreed_precision(
    index: Index, checkpoint: "ClassifierCheckpoint", predict: Predict
) -> Precision:
    """Return the precision that a cross-encoder is to score an index in.

    Where the choice is left to us, it is the fastest whose scores of up to 64 pairs of this index
    correlate with those in fp32, or of fixed pairs where the index has too few; a finer one is told
    in a notice. The correlations are remembered in the cache for these pairs and this checkpoint.

    Raises:
        ClozeError: the checkpoint can't be loaded, or there is no such precision here.
    """
    precision = resolve(index.precision, index.device)
    if precision == "fp32" or not is_automatic(index.precision):
        return precision
    pairs = _pairs(index)
    path = cache_home() / "agreement" / f"{_key(checkpoint, index.device, pairs)}.json"
    known = _remembered(path)
    before = dict(known)

    @cache
    def exact() -> Scores:
        return predict("fp32", pairs.all)

    while precision != "fp32":
        if precision not in known:
            known[precision] = least_correlation(predict(precision, pairs.all), exact(), pairs)
        if known[precision] >= LEAST_CORRELATION:
            break
        better = finer(precision, index.device)
        index.notices.append(
            f"{checkpoint.name} loses too much in {precision} (correlation with fp32 "
            f"{known[precision]:.4f} on {len(pairs.all)} {pairs.source}, at least "
            f"{LEAST_CORRELATION} is needed): {better} is used"
        )
        precision = better
    if known != before:
        _remember(path, known)
    return precision


def _remembered(path: Path) -> dict[str, float]:
    """Return the correlations in a file of the cache, none where it is not what we write."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    values = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in values if isinstance(value, float) and -1 <= value <= 1}


def _remember(path: Path, correlations: dict[str, float]) -> None:
    with contextlib.suppress(OSError):  # a cache that can't be written is measured for each time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(correlations))


def least_correlation(first: Scores, second: Scores, pairs: Pairs) -> float:
    """Return the lesser of the correlations among the pairs that belong together and the others.

    Over both at once the gap between them would hide what is lost within, where the order is made.
    """
    middle = len(pairs.own)
    return min(
        correlation(first[:middle], second[:middle]), correlation(first[middle:], second[middle:])
    )


def correlation(first: Scores, second: Scores) -> float:
    """Return Pearson's correlation; 1 where the scores are equal, else 0 where one is constant."""
    if (first == second).all():
        return 1.0
    x, y = first.astype(np.float64), second.astype(np.float64)
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    # A rounding error above 1 would be no correlation to the cache.
    return float(np.clip(x @ y / norm, -1.0, 1.0)) if norm else 0.0


def _pairs(index: Index) -> Pairs:
    """Pair the first documents' titles or first sentences with their own text and the next's."""
    with index.store.snapshot():
        documents = [document for _, document in islice(index.store.all_live(), _DOCUMENTS)]
    texts = [document.text[:_LENGTH] for document in documents]
    queries = [
        document.title or next(sentences(document.text[:_LENGTH]), "") for document in documents
    ]
    pairs = _paired(queries, texts, "pairs of this index")
    if len(set(pairs.all)) >= _LEAST_DISTINCT:
        return pairs
    fixed = calibration_texts()
    middle = len(fixed) // 2
    answers = fixed[middle : middle + _DOCUMENTS]
    return _paired(fixed[: len(answers)], answers, "fixed pairs, as this index has few texts")


def _paired(queries: Sequence[str], texts: Sequence[str], source: str) -> Pairs:
    shifted = [*texts[1:], *texts[:1]]
    return Pairs(
        own=list(zip(queries, texts, strict=True)),
        other=list(zip(queries, shifted, strict=True)),
        source=source,
    )


def _key(checkpoint: "ClassifierCheckpoint", device: str, pairs: Pairs) -> str:
    facts = [
        _VERSION, checkpoint.content_hash, CALIBRATION_HASH, device, sorted(processor_flags()),
        pairs.all,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
