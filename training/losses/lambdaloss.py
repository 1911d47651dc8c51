"""LambdaLoss: pairs in the wrong order count by what they cost nDCG."""

import math

import torch
from torch import Tensor
from torch.nn import functional

# How much the bound counts beside LambdaRank's weights (Wang et al., 2018, section 7).
_MU = 10.0


def lambda_loss(scores: Tensor, grades: Tensor, mask: Tensor) -> Tensor:
    """Return each list's NDCG-Loss2++, its mean over the pairs of unequal grades.

    Over i, j with y_i > y_j, ranks by the scores: -log2 sigmoid(s_i - s_j) times
    |G_i - G_j| (10 d(|r_i - r_j|) + |1/D(r_i) - 1/D(r_j)|), with G_i = (2^y_i - 1) / maxDCG,
    D(r) = log2(1 + r) and d(k) = 1/D(k) - 1/D(k + 1); Wang et al., 2018, "The LambdaLoss framework
    for ranking metric optimization". Equal scores rank by grade, the lowest first, so that the
    order of a list's passages never counts. Scores and grades (0 or more) are [lists, items], as is
    `mask`, False where there is padding; the losses are [lists], 0 where all grades are equal.
    """
    scores, grades = scores.masked_fill(~mask, 0.0), grades.masked_fill(~mask, 0.0)
    gains = torch.exp2(grades) - 1.0
    ranks = _ranks(scores.detach(), grades, mask)
    best = gains.sort(dim=1, descending=True).values
    places = torch.arange(1, scores.shape[1] + 1, device=scores.device)
    most = (best / _discount(places)).sum(1)  # [lists], padding gains nothing
    gains = gains / most.clamp(min=1e-10)[:, None]
    # 1 stands for the pair of a passage with itself, whose grades are equal.
    apart = (ranks.unsqueeze(2) - ranks.unsqueeze(1)).abs().clamp(min=1)
    bound = 1.0 / _discount(apart) - 1.0 / _discount(apart + 1)
    swapped = 1.0 / _discount(ranks)
    weights = (_MU * bound + _apart(swapped).abs()) * _apart(gains).abs()  # [lists, items, items]
    counted = (_apart(grades) > 0) & mask.unsqueeze(1) & mask.unsqueeze(2)
    losses = -weights * functional.logsigmoid(_apart(scores)) / math.log(2.0)
    return losses.masked_fill(~counted, 0.0).sum((1, 2)) / counted.sum((1, 2)).clamp(min=1)


def _ranks(scores: Tensor, grades: Tensor, mask: Tensor) -> Tensor:
    """Return each passage's rank from 1, padding last: [lists, items], int64."""
    by_grade = grades.argsort(dim=1, stable=True)
    falling = scores.masked_fill(~mask, float("-inf")).gather(1, by_grade)
    order = by_grade.gather(1, falling.argsort(dim=1, descending=True, stable=True))
    return order.argsort(dim=1) + 1


def _discount(ranks: Tensor) -> Tensor:
    return torch.log2(1.0 + ranks)


def _apart(values: Tensor) -> Tensor:
    """Return the differences of all pairs, [lists, items] -> [lists, items, items]."""
    return values.unsqueeze(2) - values.unsqueeze(1)
