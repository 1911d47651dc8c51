"""MarginMSE: how much better a teacher finds the positive, learned as a number."""

from torch import Tensor


def marginmse(scores: Tensor, teacher: Tensor, counted: Tensor) -> Tensor:
    """Return each query's loss, [queries], the mean squared error of its margins.

    ((s_p - s_n) - (t_p - t_n))^2, averaged over the negatives n (Hofstätter et al., 2020, formula
    7). The positive's scores stand first in `scores` and `teacher`, [queries, 1 + negatives];
    places that aren't `counted` are padding.
    """
    margins = scores[:, :1] - scores[:, 1:]  # [queries, negatives]
    wanted = teacher[:, :1] - teacher[:, 1:]
    among = counted[:, 1:]
    squares = (margins - wanted).square().masked_fill(~among, 0.0)
    return squares.sum(1) / among.sum(1).clamp(min=1)
