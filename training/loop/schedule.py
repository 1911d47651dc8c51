"""How large the steps are, and when training ends."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Unit: TypeAlias = Literal["steps", "tokens", "seconds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much training there is to be, in steps, tokens or seconds of training alone."""

    unit: Unit
    amount: float

    def share(self, *, steps: int, tokens: int, seconds: float) -> float:
        """Return which share of the budget is used up; 1 and above is the end."""
        spent: dict[Unit, float] = {"steps": steps, "tokens": tokens, "seconds": seconds}
        return spent[self.unit] / self.amount


def learning_rate(peak: float, warmup: float, share: float) -> float:
    """Rise in a line to the peak over the warm-up's share of the budget, then fall to zero.

    Devlin et al., 2019, appendix A.2. The first step's share is 0: it takes a hundredth of the
    peak rather than nothing.
    """
    if share < warmup:
        return peak * max(share / warmup, 0.01)
    return peak * max(0.0, 1.0 - share) / (1.0 - warmup)
