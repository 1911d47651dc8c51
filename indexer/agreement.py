"""How near one precision of an encoder comes to another, on texts of the user's own."""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.caches import cache_home
from indexer.creation import seal
from indexer.preparation import passage_texts
from indexer.records import PASSAGE_BITS
from indexer.runtime.precision import processor_flags

if TYPE_CHECKING:
    from indexer.encoder import Encoder
    from indexer.opened import OpenedIndex

# The least cosine that a passage's vector may have with the one in float32.
LEAST_OF_DOCUMENTS = 0.99
# The least cosine of two precisions where one is the queries' and the other the documents'.
LEAST_OF_QUERIES = 0.997
SAMPLE = 64
_STORED = 32


def worst_cosine(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the least cosine of rows that stand at the same place; 1 where there are none.

    Rows of zeros agree with each other and with nothing else; what is no number, with nothing.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = (first * second).sum(axis=1)
    equal = (first == second).all(axis=1)
    cosines = np.where(equal, 1.0, products / np.where(norms == 0, 1.0, norms))
    return float(np.where(np.isfinite(cosines), cosines, -1.0).min(initial=1.0))


def varied(texts: Sequence[str], count: int = SAMPLE) -> list[str]:
    """Return so many texts, evenly spread over their lengths; all of them where there are fewer."""
    ordered = sorted(dict.fromkeys(texts), key=lambda text: (len(text), text))
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered)))
    return [ordered[round(place)] for place in places.tolist()]


def stored_agreement(index: "OpenedIndex", encoder: "Encoder") -> float:
    """Return the worst cosine of an encoder's vectors with up to 32 that an index holds.

    It is measured once for these vectors and this encoder, and remembered in the cache.
    """
    with index.store.snapshot():
        stored = dict(islice(index.store.vectors(-1), _STORED))
        path = cache_home() / "agreement" / f"{_key(index, encoder, stored)}.json"
        try:
            return float(json.loads(path.read_bytes())["worst_cosine"])
        except (OSError, ValueError, KeyError, TypeError):
            texts, vectors = _texts(index, encoder, stored)
    worst = worst_cosine(encoder.encode_documents(texts), vectors)
    with contextlib.suppress(OSError):  # a cache that can't be written is measured for each time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"worst_cosine": worst}))
    return worst


def _texts(
    index: "OpenedIndex", encoder: "Encoder", stored: Mapping[int, bytes]
) -> tuple[list[str], NDArray[np.float16]]:
    """Return the texts that stored vectors, by passage, are of, and the vectors in their order."""
    rows: dict[str, bytes] = {}
    blobs = set(stored.values())
    numbers = sorted({passage >> PASSAGE_BITS for passage in stored})
    for number, document in index.store.documents(numbers).items():
        known = index.store.vectors_of(number)
        for key, text in passage_texts(document, encoder, index.manifest.rule):
            if known.get(key) in blobs:
                rows[text] = known[key]
    vectors = np.frombuffer(b"".join(rows.values()), dtype=np.float16)
    return list(rows), vectors.reshape(len(rows), encoder.checkpoint.dimension)


def _key(index: "OpenedIndex", encoder: "Encoder", stored: Mapping[int, bytes]) -> str:
    """Name what decides the agreement: both encoders, the machine, and the stored vectors."""
    facts = [
        asdict(seal(encoder)), encoder.device, sorted(processor_flags()),
        index.manifest.encoder and asdict(index.manifest.encoder),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode() + b"".join(stored.values())).hexdigest()
