"""The losses of the bi-encoder by name, as functions of a batch's vectors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from training.biencoder.batch import Asked
from training.losses.infonce import infonce
from training.losses.kl import kl
from training.losses.marginmse import marginmse
from training.losses.matryoshka import Loss, matryoshka

INFONCE, CACHED, MARGINMSE, KL = "infonce", "cached", "marginmse", "kl"
LOSSES = (INFONCE, CACHED, MARGINMSE, KL)
# Those that learn a teacher's scores.
TAUGHT = (MARGINMSE, KL)

# Takes the vectors of queries and documents and what is asked, and returns each query's loss.
Objective: TypeAlias = Callable[[Tensor, Tensor, Asked], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperatures:
    """What cosines and what a teacher's scores are divided by."""

    own: float = 0.05
    teacher: float = 1.0


def objective_of(loss: str, temperatures: Temperatures, dims: tuple[int, ...]) -> Objective:
    """Return a loss by its name; with `dims` it is the sum over vectors cut to each of these."""

    def objective(queries: Tensor, documents: Tensor, asked: Asked) -> Tensor:
        def of(queries: Tensor, documents: Tensor) -> Tensor:
            scores = queries @ documents.T / temperatures.own  # [queries, documents]
            return _loss(loss, scores, asked, temperatures.teacher)

        each: Loss = of
        return matryoshka(each, queries, documents, dims) if dims else each(queries, documents)

    return objective


def _loss(loss: str, scores: Tensor, asked: Asked, teacher_temperature: float) -> Tensor:
    if loss not in TAUGHT:
        return infonce(scores, asked.positives, asked.excluded)
    if asked.teacher is None:
        raise AssertionError("examples without a teacher's scores are refused before")
    own = torch.gather(scores, 1, asked.own)  # [queries, 1 + negatives]
    taught = marginmse if loss == MARGINMSE else kl
    return taught(own, asked.teacher / teacher_temperature, asked.counted)
