"""KL divergence: a teacher's shares of a query's candidates, learned as a distribution."""

from torch import Tensor
from torch.nn import functional


def kl(scores: Tensor, teacher: Tensor, counted: Tensor) -> Tensor:
    """Return each query's loss, [queries], the divergence of its shares from the teacher's.

    sum_c T_c (log T_c - log S_c) with T and S the softmax of the teacher's and the own scores over
    a query's candidates (Hinton et al., 2015, without the factor of the squared temperature).
    [queries, candidates] each; places that aren't `counted` are padding.
    """
    lowest = float("-inf")
    shares = functional.log_softmax(scores.masked_fill(~counted, lowest), dim=1)
    wanted = functional.log_softmax(teacher.masked_fill(~counted, lowest), dim=1)
    # Where both logarithms are -inf their difference is no number, which no share of 0 mends.
    apart = (wanted - shares).masked_fill(~counted, 0.0)
    return (wanted.exp() * apart).sum(1)
