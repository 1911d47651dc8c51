"""How near one precision of an encoder comes to another, on texts of the user's own."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.caches import cache_home
from indexer.preparation import passage_texts

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

    Rows of zeros agree with each other and with nothing else.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = (first * second).sum(axis=1)
    equal = (first == second).all(axis=1)
    cosines = np.where(equal, 1.0, products / np.where(norms == 0, 1.0, norms))
    return float(cosines.min(initial=1.0))


def varied(texts: Sequence[str], count: int = SAMPLE) -> list[str]:
    """Return so many texts, evenly spread over their lengths; all of them where there are fewer."""
    ordered = sorted(dict.fromkeys(texts), key=lambda text: (len(text), text))
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered)))
    return [ordered[round(place)] for place in places.tolist()]


def stored_agreement(index: "OpenedIndex", encoder: "Encoder") -> float:
    """Return the worst cosine of an encoder's vectors with up to 32 that an index holds.

    It is measured once for these vectors and this encoder, and remembered in the cache.
    """
    texts, vectors = _stored(index, encoder)
    key = _key(index, encoder, vectors)
    path = cache_home() / "agreement" / f"{key}.json"
    try:
        return float(json.loads(path.read_bytes())["worst_cosine"])
    except (OSError, ValueError, KeyError, TypeError):
        worst = worst_cosine(encoder.encode_documents(texts), vectors)
    with contextlib.suppress(OSError):  # a cache that can't be written is measured for each time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"worst_cosine": worst}))
    return worst


def _stored(index: "OpenedIndex", encoder: "Encoder") -> tuple[list[str], NDArray[np.float16]]:
    """Read texts of passages with their vectors, from the first documents."""
    rows: dict[str, bytes] = {}
    with index.store.snapshot():
        for number, document in islice(index.store.all_live(), _STORED):
            known = index.store.vectors_of(number)
            for key, text in passage_texts(document, encoder, index.manifest.rule):
                if key in known and len(rows) < _STORED:
                    rows[text] = known[key]
    vectors = np.frombuffer(b"".join(rows.values()), dtype=np.float16)
    return list(rows), vectors.reshape(len(rows), encoder.checkpoint.dimension)


def _key(index: "OpenedIndex", encoder: "Encoder", vectors: NDArray[np.float16]) -> str:
    sealed = index.manifest.encoder
    facts = [
        encoder.checkpoint.content_hash, encoder.precision, encoder.device,
        sealed.precision if sealed else None,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode() + vectors.tobytes()).hexdigest()
