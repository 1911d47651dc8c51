"""Budgets and learning rates, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.loop.schedule import Budget, Unit, learning_rate


@pytest.mark.parametrize(
    ("unit", "amount", "share"), [("steps", 40, 0.25), ("tokens", 4000, 0.5), ("seconds", 10, 0.75)]
)
def test_a_budget_counts_its_own_unit(unit: Unit, amount: float, share: float) -> None:
    budget = Budget(unit=unit, amount=amount)
    assert budget.share(steps=10, tokens=2000, seconds=7.5) == share


@pytest.mark.parametrize(
    ("share", "rate"),
    [(0.0, 0.01), (0.05, 0.5), (0.0999, 0.999), (0.1, 1.0), (0.55, 0.5), (0.91, 0.1), (1.0, 0.0)],
)
def test_the_rate_rises_to_its_peak_and_falls_to_nothing(share: float, rate: float) -> None:
    assert learning_rate(2e-3, 0.1, share) == pytest.approx(rate * 2e-3, abs=1e-12)


@given(st.floats(0, 2), st.floats(0, 0.5))
def test_the_rate_is_never_negative_nor_above_the_peak(share: float, warmup: float) -> None:
    assert 0 <= learning_rate(1.0, warmup, share) <= 1


def test_without_a_warmup_the_first_step_takes_the_peak() -> None:
    assert learning_rate(1.0, 0.0, 0.0) == 1.0
