"""BERT's forward pass for training: packed rows, weights in float32, products in another format."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.attention import attention

if TYPE_CHECKING:
    from transformers import BertModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Rows of tokens, [rows, width] each, int64.

    `sequences` numbers the sequences of a row from 1 on, and is 0 where there is padding; places
    see those of their own sequence alone. `positions` begin anew with each sequence.
    """

    ids: Tensor
    positions: Tensor
    segments: Tensor
    sequences: Tensor


def encode(bert: "BertModel", inputs: Inputs, dtype: torch.dtype) -> Tensor:
    """Return the last hidden states, float32, as `BertModel` gives them without dropout.

    The products of matrices run in `dtype`; sums, norms and what passes from layer to layer stay
    in float32. The weights are the model's own, [rows, width] -> [rows, width, hidden].
    """
    return deque(hidden_states(bert, inputs, dtype), maxlen=1).pop()


def hidden_states(bert: "BertModel", inputs: Inputs, dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield the hidden states after the embeddings and after each layer, as `encode` does."""
    mask = attention_mask(inputs.sequences, dtype)
    embeddings = bert.embeddings
    hidden = (
        functional.embedding(inputs.ids, embeddings.word_embeddings.weight)
        + functional.embedding(inputs.positions, embeddings.position_embeddings.weight)
        + functional.embedding(inputs.segments, embeddings.token_type_embeddings.weight)
    )
    hidden = embeddings.LayerNorm(hidden)
    yield hidden
    for layer in bert.encoder.layer:
        hidden = _layer(layer, hidden, mask, bert.config.num_attention_heads, dtype)
        yield hidden


def attention_mask(sequences: Tensor, dtype: torch.dtype) -> Tensor | None:
    """Return what is added to attention scores so that places see their own sequence alone.

    [rows, width] -> [rows, 1, width, width]; None where each row is one sequence, all of it.
    """
    if bool((sequences == 1).all()):
        return None
    apart = sequences.unsqueeze(1) != sequences.unsqueeze(2)  # [rows, width, width]
    mask = torch.zeros(apart.shape, dtype=dtype, device=sequences.device)
    return mask.masked_fill_(apart, float("-inf")).unsqueeze(1)


def dense(layer: nn.Linear, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Apply a linear layer in another number format than its weights'."""
    return functional.linear(x.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype))


def _layer(
    layer: Any,  # noqa: ANN401 - a BertLayer, which says nothing of its parts
    hidden: Tensor,
    mask: Tensor | None,
    heads: int,
    dtype: torch.dtype,
) -> Tensor:
    """One layer, norms after the sums (Devlin et al., 2019); [rows, width, hidden] in and out."""
    own = layer.attention
    projections = (own.self.query, own.self.key, own.self.value)
    weight = torch.cat([each.weight for each in projections]).to(dtype)
    bias = torch.cat([each.bias for each in projections]).to(dtype)
    projected = functional.linear(hidden.to(dtype), weight, bias)  # [rows, width, 3 * hidden]
    mixed = dense(own.output.dense, attention(projected, mask, heads), dtype)
    hidden = own.output.LayerNorm(hidden + mixed)
    inner = functional.gelu(dense(layer.intermediate.dense, hidden, dtype))
    out: Tensor = layer.output.LayerNorm(hidden + dense(layer.output.dense, inner, dtype))
    return out
