"""How much fine-tuning there is to be: a budget of the loop, or passes over the examples."""

import math
from dataclasses import dataclass
from typing import Any

from training.loop.schedule import Budget
from training.record import budget_option


@dataclass(frozen=True, slots=True, kw_only=True)
class Epochs:
    """Passes over all examples; a part of one is allowed."""

    count: float


def loop_budget(budget: Budget | Epochs, examples: int, batch: int) -> Budget:
    """Return the loop's budget: passes over the examples end with the step that ends the last."""
    if isinstance(budget, Budget):
        return budget
    steps = round(budget.count * examples / batch, 6)  # 1.1 passes over 100 are not above 110
    return Budget(unit="steps", amount=max(1, math.ceil(steps)))


def epochs_option(budget: Budget | Epochs) -> dict[str, Any]:
    """Return what was asked for as the option that asks for it."""
    return {"--epochs": budget.count} if isinstance(budget, Epochs) else budget_option(budget)
