"""When a run is judged on what training never sees, and what came of it."""

import math
import time

from training.loop.best import Best
from training.loop.checkpoints import State
from training.loop.task import Task

# Between two evaluations there are so many times the seconds that one takes, so that a slow one
# doesn't take the time of the training.
_PAUSE = 10.0


class Evaluation:
    """The held-out evaluations of a run, one every `every` of its budget.

    Those are left out that would take more than a tenth of the time; but none where the best
    weights are kept and the budget isn't one of time, since then nothing hangs on the clock.
    """

    def __init__(self, task: Task, every: float, best: Best | None, *, by_clock: bool) -> None:
        """Judge a task; `best` follows what is found, `by_clock` tells of a budget of time."""
        self._task = task
        self._every = every
        self._best = best
        self._all = best is not None and not by_clock
        self._ended, self._took = -math.inf, 0.0
        self.figures: dict[str, float] = {}

    def run(self, state: State) -> None:
        """Evaluate the task as it stands."""
        begun = time.monotonic()
        self.figures = self._task.evaluate()
        self._ended = time.monotonic()
        self._took = self._ended - begun
        if self._best:
            self._best.follow(self.figures, state, self._task.model)

    def is_due(self, before: float, share: float) -> bool:
        """Tell whether one is due between two shares of the budget; the end is always."""
        if share >= 1:
            return True
        rested = time.monotonic() - self._ended >= _PAUSE * self._took
        return (self._all or rested) and self._number(share) > self._number(before)

    def _number(self, share: float) -> int:
        """Return how many evaluations are due; 0.15 / 0.05 is a little less than 3."""
        return math.floor(share / self._every + 1e-9)
