"""Token vectors for late interaction: few components, of norm 1, as 8-bit integers.

A passage's codes are int8 [tokens, dimension], the tokens of its text in order, the title's first.
They are made the same way whether they are stored or of a query, and depend on the text alone.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.errors import DamagedIndexError
from indexer.manifest import TokenVectorSeal
from indexer.token_projection import dimension_of, kept_tokens, projection

if TYPE_CHECKING:
    from indexer.encoder import Encoder, TokenVectors
    from indexer.opened import OpenedIndex
    from indexer.stored_tokens import KeptCodes

Codes: TypeAlias = NDArray[np.int8]

# Components of a unit vector have a mean square of 1 / dimension: six times its root is the most
# that a code can hold, and no more than one in a million is cut there.
_MOST_DEVIATIONS = 6
_MOST = 127


def seal_token_vectors(hidden: int) -> TokenVectorSeal:
    """Return what a manifest says of token vectors of so many hidden components."""
    dimension = dimension_of(hidden)
    return TokenVectorSeal(dimension=dimension, scale=_scale(dimension))


def _scale(dimension: int) -> float:
    return _MOST * math.sqrt(dimension) / _MOST_DEVIATIONS


class TokenCoder:
    """Token vectors to codes: times a matrix, then of norm 1, times a fixed scale, rounded.

    `matrix` is [hidden, dimension]; a product of two codes is a cosine times `scale` squared.
    """

    def __init__(self, matrix: NDArray[np.float32], scale: float | None = None) -> None:
        """Use a matrix as it was made for a checkpoint, or stored with an index and its scale."""
        self.matrix = matrix
        # What 1 is as a code.
        self.scale = _scale(matrix.shape[1]) if scale is None else scale
        # In float64 the order of a sum, which follows the number of threads, moves no code.
        self._exact = matrix.astype(np.float64)

    @cached_property
    def content_hash(self) -> str:
        """A hash of the matrix."""
        return hashlib.sha256(self.matrix.tobytes()).hexdigest()

    def codes(self, tokens: "TokenVectors") -> Codes:
        """Return the codes of a text's tokens, without special ones and a prompt's."""
        rows = tokens.vectors[kept_tokens(tokens)].astype(np.float64) @ self._exact
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        scaled = rows * (self.scale / np.where(norms == 0, 1.0, norms))
        return np.clip(np.rint(scaled), -_MOST, _MOST).astype(np.int8)

    def encode(self, encoder: "Encoder", texts: Sequence[str]) -> list[Codes]:
        """Return the codes of passages; hidden states are in memory for a few batches at once."""
        found: dict[int, Codes] = {}
        for places, _, tokens in encoder.documents_with_tokens(texts):
            found |= {place: self.codes(each) for place, each in zip(places, tokens, strict=True)}
        return [found[place] for place in range(len(texts))]

    def encode_both(
        self, encoder: "Encoder", texts: Sequence[str], encoded: Callable[[int], None]
    ) -> tuple[NDArray[np.float32], list[bytes]]:
        """Return passages' vectors [texts, dimension] and their codes, from one pass.

        `encoded` hears how many texts each batch has finished.
        """
        vectors = np.zeros((len(texts), encoder.checkpoint.dimension), dtype=np.float32)
        codes = [b""] * len(texts)
        for places, found, tokens in encoder.documents_with_tokens(texts):
            vectors[places] = found
            for place, each in zip(places, tokens, strict=True):
                codes[place] = self.codes(each).tobytes()
            encoded(len(places))
        return vectors, codes


def open_coder(index: "OpenedIndex") -> TokenCoder:
    """Return the coder of an index: by the matrix stored with its codes, else its encoder's.

    Raises:
        ClozeError: the index is lexical-only.
        DamagedIndexError: the stored matrix is not what was written.
    """
    sealed = index.manifest.token_vectors
    kept = None if sealed is None else index.store.projection()
    if sealed is None or (kept is None and not index.store.has_tokens):
        return TokenCoder(projection(index.encoder))
    if kept is None or not kept.intact:
        raise _damaged(index, "the matrix of the token vectors is")
    matrix = np.frombuffer(kept.matrix, dtype=np.float32).reshape(-1, sealed.dimension)
    return TokenCoder(matrix, sealed.scale)


def stored_codes(index: "OpenedIndex", passages: Sequence[int]) -> dict[int, Codes]:
    """Return the codes of those passages, by number, that have any stored.

    Raises:
        DamagedIndexError: one's are not what was written.
    """
    sealed = index.manifest.token_vectors
    if sealed is None:
        return {}
    kept: Mapping[int, KeptCodes] = index.store.token_codes(passages)
    if broken := [passage for passage, each in kept.items() if not each.intact]:
        raise _damaged(index, f"the token vectors of passage {min(broken)} are")
    return {
        passage: np.frombuffer(each.codes, dtype=np.int8).reshape(-1, sealed.dimension)
        for passage, each in kept.items()
    }


def _damaged(index: "OpenedIndex", what: str) -> DamagedIndexError:
    sealed = index.manifest.encoder
    return DamagedIndexError(
        f"{index.store.path}: {what} not what was written; restore a backup, or encode anew with: "
        f"cloze reindex {index.folder} --model {sealed.name if sealed else 'MODEL'}"
    )
