"""Distillation: the differences of a teacher's scores within a list."""

from torch import Tensor


def distil_loss(scores: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Return each list's mean squared error of score differences, over all pairs of its passages.

    mean over i < j of ((s_i - s_j) - (t_i - t_j))^2: the MarginMSE of Hofstätter et al., 2020,
    "Improving efficient neural ranking models with cross-architecture knowledge distillation", with
    pairs of negatives too, as a teacher orders these as well. Student and teacher may differ by a
    constant and by nothing else, so the student takes on the teacher's unit. With d = s - t it is
    2 n / (n - 1) times the variance of d, so it costs no pairs. Scores are [lists, items], as is
    `mask`, False where there is padding; the losses are [lists], 0 for a list of one passage.
    """
    counts = mask.sum(1)
    apart = (scores - teacher).masked_fill(~mask, 0.0)
    means = apart.sum(1, keepdim=True) / counts.unsqueeze(1)
    squares = (apart - means).masked_fill(~mask, 0.0).square().sum(1)
    return 2.0 * squares / (counts - 1).clamp(min=1)
