"""The arithmetic of a forward pass: what a runtime can't do without, padding left out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

# Weights of a numbered layer, as in encoder.layer.3.output.dense.weight.
_IN_LAYER = re.compile(r"(?:^|\.)(?:layers?|h)\.(\d+)\..*\.weight$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A transformer's size: width, feed-forward width, layers, and weights of all its matrices.

    Embeddings, pooler and head are left out: they cost nothing beside the layers.
    """

    hidden: int
    intermediate: int
    layers: int
    weights: int


def read_size(folder: Path, hidden: int) -> Size:
    """Read a model's size from the headers of its weights; every layer has weights of its own."""
    layers: set[str] = set()
    weights, widest = 0, 0
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():
                shape = file.get_slice(name).get_shape()
                if (found := _IN_LAYER.search(name)) and len(shape) == 2:
                    layers.add(found[1])
                    weights += shape[0] * shape[1]
                    widest = max(widest, *shape)
    return Size(hidden=hidden, intermediate=widest, layers=len(layers), weights=weights)


def operations(size: Size, lengths: Sequence[int]) -> int:
    """Count the floating-point operations of rows of so many tokens.

    A weight multiplies and adds once a token: 2 * weights * tokens. Attention multiplies queries
    with keys, and its result with values: 2 * 2 * length^2 * hidden a layer and row.
    """
    linear = 2 * size.weights * sum(lengths)
    attention = 4 * size.layers * size.hidden * sum(length**2 for length in lengths)
    return linear + attention
