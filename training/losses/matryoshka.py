"""Matryoshka: vectors that are good in their first dimensions alone, too."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch import Tensor
from torch.nn import functional

# Takes the vectors of queries and of documents, and returns each query's loss.
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def matryoshka(loss: Loss, queries: Tensor, documents: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the sum of a loss over vectors cut to each of some dimensions.

    Cut vectors get unit length again (Kusupati et al., 2022, formula 1, all weights 1).
    [queries, hidden], [documents, hidden] -> [queries]
    """
    losses = [loss(cut(queries, each), cut(documents, each)) for each in dims]
    total = losses[0]
    for other in losses[1:]:
        total = total + other
    return total


def cut(vectors: Tensor, dimension: int) -> Tensor:
    """Return the first dimensions of vectors at unit length, [texts, dimension]."""
    return functional.normalize(vectors[:, :dimension], dim=1)
