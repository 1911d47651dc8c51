"""What a run does at the moment: tokens a second, recent losses, the time left."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from training.loop.checkpoints import State

_RECENT_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """A look at a run: `left` in seconds of training, `rate` in tokens a second."""

    share: float
    step: int
    tokens: int
    rate: float
    loss: float
    left: float


Show: TypeAlias = Callable[[Glance], None]


class Meter:
    """Times the steps of one process from when it begins; pauses between two count nowhere."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._begun = 0.0
        self._fetched = 0.0
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RECENT_STEPS)
        self._losses: list[dict[str, float]] = []

    def begin(self) -> None:
        """Begin a step by asking for its data."""
        self._begun = time.perf_counter()

    def fetched(self) -> None:
        """Note that the data are there."""
        self._fetched = time.perf_counter()

    def end(self, tokens: int, losses: dict[str, float]) -> tuple[float, float]:
        """End a step, and return its seconds, and those of them that it waited for data."""
        seconds = time.perf_counter() - self._begun
        self._recent.append((tokens, seconds))
        self._losses.append(losses)
        return seconds, self._fetched - self._begun

    @property
    def rate(self) -> float:
        """Return the tokens a second of the last steps."""
        seconds = sum(seconds for _, seconds in self._recent)
        return sum(tokens for tokens, _ in self._recent) / seconds

    def take_losses(self) -> dict[str, float]:
        """Return the mean losses since this was last asked, each of the steps that have it."""
        taken, self._losses = self._losses, []
        names = dict.fromkeys(name for each in taken for name in each)
        return {name: fmean(each[name] for each in taken if name in each) for name in names}

    def glance(self, state: State, share: float, loss: float) -> Glance:
        """Look at the run as it stands."""
        left = state.seconds / share * (1 - share) if share else 0.0
        return Glance(
            share=share, step=state.step, tokens=state.tokens, rate=self.rate, loss=loss,
            left=max(0.0, left),
        )  # fmt: skip
