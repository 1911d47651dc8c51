"""Attention whose backward pass keeps nothing but what it needs."""

from typing import Any

import torch
from torch import Tensor


class _Attention(torch.autograd.Function):
    """softmax(Q K^T / sqrt(size) + mask) V, head by head.

    On CPUs torch's own scaled dot-product attention takes several times as long at the lengths of
    pretraining, forward and backward: its blocks are small, and it computes the softmax twice.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own type
        projected: Tensor,
        mask: Tensor | None,
        heads: int,
    ) -> Tensor:
        rows, length, hidden = projected.shape
        scale = (hidden // 3 // heads) ** -0.5
        q, k, v = _split(projected, heads)
        scores = torch.bmm(q.mul_(scale), k.transpose(1, 2))  # [rows * heads, length, length]
        if mask is not None:
            scores.view(rows, heads, length, length).add_(mask)
        shares = torch.softmax(scores, -1, out=scores)
        ctx.save_for_backward(q, k, v, shares)
        ctx.heads, ctx.scale = heads, scale
        return _join(torch.bmm(shares, v).unsqueeze(0), heads)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch's own type
        q, k, v, shares = ctx.saved_tensors
        (gradient,) = _split(gradients[0], ctx.heads, 1)
        of_all = torch.empty((3, *q.shape), dtype=q.dtype, device=q.device)
        torch.bmm(shares.transpose(1, 2), gradient, out=of_all[2])
        of_shares = torch.bmm(gradient, v.transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_shares, shares, -1, shares.dtype)
        torch.bmm(of_scores, k, out=of_all[0]).mul_(ctx.scale)
        torch.bmm(of_scores.transpose(1, 2), q, out=of_all[1])
        return _join(of_all, ctx.heads), None, None


def attention(projected: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    """Mix values by the likeness of queries and keys (Vaswani et al., 2017, formula 1).

    `projected` holds queries, keys and values beside each other; `mask` is added to the scores, 0
    where a place may be seen and -inf where not, every place seeing at least one.

    [rows, length, 3 * hidden], [rows, 1, length, length] -> [rows, length, hidden]
    """
    mixed: Tensor = _Attention.apply(projected, mask, heads)  # type: ignore[no-untyped-call]
    return mixed


def _split(x: Tensor, heads: int, parts: int = 3) -> Tensor:
    """[rows, length, parts * hidden] -> [parts, rows * heads, length, size]."""
    rows, length, width = x.shape
    size = width // parts // heads
    apart = x.view(rows, length, parts, heads, size).permute(2, 0, 3, 1, 4)
    # Of one row or one head a reshape would be a view, and what is changed here not ours.
    own = apart.clone(memory_format=torch.contiguous_format)
    return own.view(parts, rows * heads, length, size)


def _join(x: Tensor, heads: int) -> Tensor:
    """[parts, rows * heads, length, size] -> [rows, length, parts * hidden]."""
    parts, rows, length, size = x.shape
    together = x.view(parts, rows // heads, heads, length, size).permute(1, 3, 0, 2, 4)
    return together.reshape(rows // heads, length, parts * heads * size)
