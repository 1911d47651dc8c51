"""The losses of the cross-encoder by name, and what they want of lists."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch import Tensor

from training.crossencoder.lists import PassageList
from training.losses.bce import bce_loss
from training.losses.distil import distil_loss
from training.losses.lambdaloss import lambda_loss
from training.losses.listnet import listnet_loss

BCE, LISTNET, LAMBDA, DISTIL = "bce", "listnet", "lambda", "distil"
# Takes scores, what they should be and the mask, [lists, items], and returns each list's loss.
Objective: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
OBJECTIVES: dict[str, Objective] = {
    BCE: bce_loss, LISTNET: listnet_loss, LAMBDA: lambda_loss, DISTIL: distil_loss
}  # fmt: skip
# Of a positive among labels of 0. By ListNet's softmax a positive among seven others then has .95
# of the probability, by a grade of 1 it would have .28 and the best scores lie but 1 apart.
_GRADES = {BCE: 1.0, LISTNET: 5.0, LAMBDA: 1.0}


def targets_of(loss: str, made: PassageList) -> Sequence[float]:
    """Return what a loss wants of a list's passages: labels, or the teacher's scores."""
    if loss == DISTIL:
        if made.scores is None:
            raise AssertionError("examples without a teacher's scores are refused before")
        return made.scores
    positive = _GRADES[loss]
    return [positive * (place < made.positives) for place in range(len(made.texts))]
