"""Binary cross-entropy: each passage of a list by itself, relevant or not."""

from torch import Tensor
from torch.nn import functional


def bce_loss(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Return each list's mean over its passages of -log p(label), p(1) = sigmoid(score).

    Scores and labels (0 to 1) are [lists, items], as is `mask`, False where there is padding; the
    losses are [lists], in nats. No weight makes up for lists of more negatives than positives,
    since the scores are calibrated afterwards.
    """
    known = scores.masked_fill(~mask, 0.0)
    losses = functional.binary_cross_entropy_with_logits(
        known, labels.masked_fill(~mask, 0.0), reduction="none"
    )
    return losses.masked_fill(~mask, 0.0).sum(1) / mask.sum(1)
