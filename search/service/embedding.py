"""Embedding: any number of inputs to vectors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from search.service.parts import Part, Work, parts
from search.service.tokens import read_tokens

if TYPE_CHECKING:
    from indexer.encoder import Encoder
    from indexer.runtime.rows import TokenRow

# Texts that are tokenised at once.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Vectors of inputs, [inputs, dimension]; `tokens` were read of all, special ones included.

    `truncated` are the places of inputs whose tails the encoder could not take.
    """

    vectors: NDArray[np.float32]
    tokens: int
    truncated: list[int]


def embed(
    encoder: "Encoder", inputs: Sequence[str] | Sequence[Sequence[int]], *, queries: bool
) -> Work[Embedded]:
    """Embed texts, with the prompt of documents or of queries, or lists of token ids without any.

    Raises:
        RequestError: a token is not in the vocabulary.
    """
    vectors = np.empty((len(inputs), encoder.checkpoint.dimension), dtype=np.float32)
    truncated = []
    total = done = 0
    sized = ((each, len(each.ids)) for each in _read(encoder, inputs, queries=queries))
    for part, tokens in parts(sized, encoder.device):
        found = yield Part(encoder, part, tokens)
        vectors[done : done + len(part)] = found
        truncated += [done + place for place, each in enumerate(part) if each.truncated]
        done += len(part)
        total += tokens
    return Embedded(vectors=vectors, tokens=total, truncated=truncated)


def _read(
    encoder: "Encoder", inputs: Sequence[str] | Sequence[Sequence[int]], *, queries: bool
) -> "Iterator[TokenRow]":
    """Read inputs in their order, a few ahead of the work."""
    for start in range(0, len(inputs), _AT_ONCE):
        some: Sequence[Any] = inputs[start : start + _AT_ONCE]
        texts = [each for each in some if isinstance(each, str)]
        yield from encoder.query_rows(texts) if queries else encoder.document_rows(texts)
        for place, each in enumerate(some, start):
            if not isinstance(each, str):
                yield read_tokens(encoder, each, place)
