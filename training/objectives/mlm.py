"""Masked language modelling: the loss, at the places that were chosen alone.

-log softmax(W h + b)[label], summed over the places (Devlin et al., 2019, section 3.1); W is the
word embedding, h the hidden state after a dense layer, GELU and a norm.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from training.bert import dense

if TYPE_CHECKING:
    from transformers.models.bert.modeling_bert import BertLMPredictionHead

# The smallest normal float32, whose logarithm is finite.
_TINY = torch.finfo(torch.float32).tiny


class _VocabularyLoss(torch.autograd.Function):
    """Cross-entropy that holds one array as large as the vocabulary's scores, not four.

    Where the label's share is more than half, what is left to the others is their sum, not 1 less
    the share: in bf16 a share of .999 is 1, and nothing would be left to learn.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, words: Tensor, bias: Tensor, labels: Tensor) -> Tensor:  # noqa: ANN401 - torch's own type of context
        scores = torch.mm(hidden, words.t()).add_(bias)  # [places, vocabulary]
        shares = torch.softmax(scores, -1, out=scores)
        chosen = (torch.arange(len(labels), device=labels.device), labels)
        share = shares[chosen]
        shares[chosen] = 0
        others = shares.sum(-1)  # added up in float32, and rounded once
        is_likely = share > 0.5
        shares[chosen] = torch.where(is_likely, -others, share - 1)
        ctx.save_for_backward(hidden, words, shares)
        logs = torch.where(
            is_likely, torch.log1p(-others.float()), share.float().clamp_min(_TINY).log()
        )
        return -logs.sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401 - torch's own type of context
        hidden, words, of_scores = ctx.saved_tensors
        scale = gradients[0].to(hidden.dtype)
        of_bias = of_scores.t() @ scale.expand(len(of_scores))
        return (of_scores @ words) * scale, of_scores.t() @ (hidden * scale), of_bias, None


def mlm_loss(
    head: "BertLMPredictionHead", hidden: Tensor, labels: Tensor, dtype: torch.dtype
) -> Tensor:
    """Return the summed loss of some places, float32; [places, hidden], [places] -> []."""
    loss: Tensor = _VocabularyLoss.apply(  # type: ignore[no-untyped-call]
        _transformed(head, hidden, dtype).to(dtype),
        head.decoder.weight.to(dtype),
        head.decoder.bias.to(dtype),
        labels,
    )
    return loss


def mlm_scores(head: "BertLMPredictionHead", hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the vocabulary's scores, float32; [places, hidden] -> [places, vocabulary]."""
    return dense(head.decoder, _transformed(head, hidden, dtype), dtype).float()


def _transformed(head: "BertLMPredictionHead", hidden: Tensor, dtype: torch.dtype) -> Tensor:
    inner = functional.gelu(dense(head.transform.dense, hidden, dtype))
    normed: Tensor = head.transform.LayerNorm(inner.float())
    return normed
