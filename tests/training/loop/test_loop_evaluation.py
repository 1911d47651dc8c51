"""Which evaluations are due: all where nothing hangs on the clock, else those that are cheap."""

from typing import Any

import pytest
from torch import nn

from training.loop.best import Best
from training.loop.checkpoints import State
from training.loop.evaluation import Evaluation


class Slow:
    """A task that takes ten seconds to judge, on a clock that stands still otherwise."""

    model = nn.Linear(1, 1)

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("training.loop.evaluation.time", self)

    def monotonic(self) -> float:
        return self.now

    def evaluate(self) -> dict[str, float]:
        self.now += 10.0
        return {"figure": 0.5}


@pytest.mark.parametrize(
    ("best", "by_clock", "rested", "due"),
    [
        (True, False, 0.0, True),
        (True, True, 99.0, False),
        (True, True, 100.0, True),
        (False, False, 99.0, False),
        (False, False, 100.0, True),
    ],
)
def test_none_is_left_out_where_nothing_hangs_on_the_clock(
    monkeypatch: pytest.MonkeyPatch, best: bool, by_clock: bool, rested: float, due: bool
) -> None:
    task: Any = Slow(monkeypatch)
    kept = Best("figure") if best else None
    evaluation = Evaluation(task, 0.1, kept, by_clock=by_clock)
    evaluation.run(State())
    task.now += rested
    assert evaluation.is_due(0.19, 0.2) is due
    assert not evaluation.is_due(0.11, 0.19)
    assert evaluation.is_due(0.95, 1.0), "the end is judged whatever it takes"
