"""ListNet: the probability of each passage to stand first, against that by the labels."""

from torch import Tensor
from torch.nn import functional


def listnet_loss(scores: Tensor, grades: Tensor, mask: Tensor) -> Tensor:
    """Return each list's cross-entropy between two softmaxes, of the grades and of the scores.

    -sum_i P_y(i) log P_s(i) with P_x(i) = exp(x_i) / sum_j exp(x_j), the top one probabilities of
    Cao et al., 2007, "Learning to rank: from pairwise approach to listwise approach". Scores and
    grades are [lists, items], as is `mask`, False where there is padding; the losses are [lists],
    in nats. At its lowest a loss is the entropy of P_y.
    """
    # Not minus infinity, whose product with a probability of 0 is no number.
    least = scores.new_tensor(float("-1e30"))
    logs = functional.log_softmax(scores.where(mask, least), dim=1)
    wanted = functional.softmax(grades.masked_fill(~mask, float("-inf")), dim=1)
    return -(wanted * logs.masked_fill(~mask, 0.0)).sum(1)
