"""Work on many inputs in parts, so that the parts of several requests can share a forward pass."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.runtime.rows import TokenRow
from search.reranking.crossencoder import CrossEncoder
from search.service.models import slice_tokens

if TYPE_CHECKING:
    from indexer.encoder import Encoder

Pair: TypeAlias = tuple[str, str]
_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Part:
    """Inputs of one model, of so many tokens: rows for an encoder, pairs for a cross-encoder."""

    model: "Encoder | CrossEncoder"
    inputs: Sequence[TokenRow] | Sequence[Pair]
    tokens: int


# Yields its parts, is sent the outputs of each, and returns its answer.
Work: TypeAlias = Generator[Part, NDArray[np.float32], _Answer]


def run(model: "Encoder | CrossEncoder", inputs: Sequence[Any]) -> NDArray[np.float32]:
    """Return the outputs of inputs: vectors [inputs, dimension], or scores [inputs]."""
    if isinstance(model, CrossEncoder):
        return model.predict(inputs)
    return model.vectors(inputs)


def parts(items: Iterable[tuple[_Item, int]], device: str) -> Iterator[tuple[list[_Item], int]]:
    """Group items, each with its number of tokens, into parts of about 1,024 (more on a GPU)."""
    most = slice_tokens(device)
    part: list[_Item] = []
    tokens = 0
    for item, its_tokens in items:
        if part and tokens + its_tokens > most:
            yield part, tokens
            part, tokens = [], 0
        part.append(item)
        tokens += its_tokens
    if part:
        yield part, tokens
