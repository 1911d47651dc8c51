"""InfoNCE: a query's positive told from all other passages of the batch."""

from torch import Tensor
from torch.nn import functional


def infonce(scores: Tensor, positives: Tensor, excluded: Tensor) -> Tensor:
    """Return each query's loss, [queries], the negative log of its positive's share.

    -log(exp(s_p) / sum_c exp(s_c)) over the candidates c that aren't excluded (van den Oord et al.,
    2018, formula 4; in-batch negatives: Henderson et al., 2017). `scores` are divided by the
    temperature already, [queries, candidates]; `positives` are the places of the positives,
    [queries], which are never `excluded`, [queries, candidates].
    """
    left = scores.masked_fill(excluded, float("-inf"))
    return functional.cross_entropy(left, positives, reduction="none")
