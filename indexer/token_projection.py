"""The matrix that token vectors are multiplied by: few components that keep most of their cosines.

It is a checkpoint's own, made once from fixed texts and kept in the cache.
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from indexer.caches import cache_home

if TYPE_CHECKING:
    from indexer.encoder import Encoder, TokenVectors

DIMENSION = 128
# Raised when the same texts would give another matrix.
_VERSION = 2
_NAME = "projection"


def projection(encoder: "Encoder") -> NDArray[np.float32]:
    """Return an encoder's matrix, [hidden, min(128, hidden)], made anew where absent or damaged."""
    from indexer.runtime.calibration import CALIBRATION_HASH

    checkpoint = encoder.checkpoint
    parts = (checkpoint.content_hash[:32], encoder.precision, CALIBRATION_HASH[:8], _VERSION)
    path = cache_home() / _NAME / f"{'-'.join(map(str, parts))}.safetensors"
    shape = (checkpoint.dimension, dimension_of(checkpoint.dimension))
    found = _read(path)
    if found is None or found.shape != shape:
        found = _of_fixed_texts(encoder)
        with contextlib.suppress(OSError):  # a cache that can't be written: made each time
            _write(path, found)
    return found


def dimension_of(hidden: int) -> int:
    """Return how many components a token's vector has, of so many hidden ones."""
    return min(DIMENSION, hidden)


def kept_tokens(tokens: "TokenVectors") -> list[int]:
    """Return the places of the tokens that are of the text: neither special nor of a prompt."""
    return [place for place, (start, end) in enumerate(tokens.offsets) if end > start]


def principal(vectors: NDArray[np.float32], dimension: int) -> NDArray[np.float64]:
    """Return the eigenvectors of X'X with the largest eigenvalues, in their order, as columns.

    X are `vectors` [tokens, hidden] of norm 1, not centred, so that as much as can be is kept of
    their products. An eigenvector's component of the largest magnitude is positive, since either
    sign would do.
    """
    exact = vectors.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    exact /= np.where(norms == 0, 1.0, norms)
    columns = np.linalg.eigh(exact.T @ exact).eigenvectors[:, ::-1][:, :dimension]
    largest = np.abs(columns).argmax(axis=0)
    signs = np.sign(columns[largest, np.arange(columns.shape[1])])
    leading: NDArray[np.float64] = columns * signs
    return leading


def spread(dimension: int) -> NDArray[np.float64]:
    """Return an orthogonal matrix that shares every component's size among all of them.

    The discrete Hartley transform, (cos + sin)(2 pi i j / n) / sqrt(n). Products stay as they are,
    and no component is so large that a code can't hold it, as the first ones of many models are.
    """
    places = np.arange(dimension)
    angles = 2 * np.pi * (np.outer(places, places) % dimension) / dimension
    matrix: NDArray[np.float64] = (np.cos(angles) + np.sin(angles)) / np.sqrt(dimension)
    return matrix


def _of_fixed_texts(encoder: "Encoder") -> NDArray[np.float32]:
    from indexer.runtime.calibration import calibration_texts

    found = encoder.document_tokens(calibration_texts())
    vectors = np.concatenate([each.vectors[kept_tokens(each)] for each in found])
    dimension = dimension_of(encoder.checkpoint.dimension)
    return (principal(vectors, dimension) @ spread(dimension)).astype(np.float32)


def _read(path: Path) -> NDArray[np.float32] | None:
    try:
        with safe_open(path, framework="numpy") as file:
            found: NDArray[np.float32] = file.get_tensor(_NAME)
            written = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    return found if written == _sha256(found) else None


def _write(path: Path, matrix: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = save({_NAME: matrix}, metadata={"sha256": _sha256(matrix)})
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        scratch = Path(place) / "new"
        scratch.write_bytes(content)
        os.replace(scratch, path)


def _sha256(matrix: NDArray[np.float32]) -> str:
    return hashlib.sha256(matrix.tobytes()).hexdigest()
