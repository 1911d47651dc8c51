"""The best weights of a run, by a held-out figure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from training.loop.checkpoints import State

Weights: TypeAlias = dict[str, Tensor]


class Best:
    """The weights where one held-out figure stood highest; of equal ones the first."""

    def __init__(self, figure: str) -> None:
        """Watch a figure; a higher one is better."""
        self.figure = figure
        self.weights: Weights = {}

    def follow(self, figures: Mapping[str, float], state: "State", model: nn.Module) -> None:
        """Keep the weights, and note the figures in the state, where they are the best yet."""
        if state.best and not figures[self.figure] > state.best[self.figure]:  # nan is never better
            return
        state.best, state.best_step = dict(figures), state.step
        self.weights = {
            name: each.detach().cpu().clone() for name, each in model.named_parameters()
        }

    def put_back(self, model: nn.Module) -> None:
        """Give the best weights back to the model."""
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(self.weights[name])
