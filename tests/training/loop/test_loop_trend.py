"""A loss that has diverged is told from one that is noisy."""

import random
from collections.abc import Iterable

import pytest

from training.loop.trend import Trend


def steps_until_diverged(losses: Iterable[float]) -> int | None:
    trend = Trend()
    for step, loss in enumerate(losses, 1):
        trend.follow(loss)
        if trend.has_diverged:
            return step
    return None


def test_the_mean_of_ten_steps_and_so_is_its_bound_by_hand() -> None:
    trend = Trend()
    for loss in (2.0, 2.2):
        trend.follow(loss)
    assert trend.smoothed == pytest.approx(0.9 * 2.0 + 0.1 * 2.2)
    assert trend.noise == pytest.approx(0.2)
    assert trend.bound == pytest.approx(2.02 + 0.5)
    trend.follow(4.2)
    assert trend.noise == pytest.approx((0.2 + 2.0) / 2)
    assert trend.bound == pytest.approx(0.9 * 2.02 + 0.1 * 4.2 + 2 * 1.1)
    trend = Trend(steps=99, smoothed=3.0, first=9.0, lowest=2.5, last=4.0)
    trend.follow(4.0)
    assert trend.smoothed == pytest.approx(3.1)
    assert trend.lowest == 2.5
    assert trend.bound == 2.5 + 0.5 * 6.5 + 0.5
    trend.follow(2.0 - 0.9 * 0.1)
    assert trend.lowest == 2.5


@pytest.mark.parametrize("plateau", [7.0, 8.5, 10.0])
def test_a_masked_language_model_that_falls_back_is_known(plateau: float) -> None:
    fall = [9.5 - 7.0 * step / 1000 for step in range(1000)]
    found = steps_until_diverged(fall + [plateau] * 200)
    assert found is not None
    assert 1020 < found < 1050


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("level", "noise"), [(0.69, 0.3), (0.1, 0.4), (2.5, 0.5), (20.0, 4.0), (90.0, 60.0)]
)
def test_noise_is_no_divergence(seed: int, level: float, noise: float) -> None:
    chance = random.Random(seed)
    assert steps_until_diverged(max(0, chance.gauss(level, noise)) for _ in range(3000)) is None


def test_a_spike_that_passes_is_none() -> None:
    losses = [9.0] * 20 + [3.0] * 300 + [30.0] + [3.0] * 300
    assert steps_until_diverged(losses) is None


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("growth", [1.01, 1.05, 1.3])
def test_a_noisy_squared_error_that_grows_is_known(seed: int, growth: float) -> None:
    chance = random.Random(seed)
    calm = [max(0.0, chance.gauss(20.0, 5.0)) for _ in range(300)]
    lost = [min(1e6, growth**step) * max(0.0, chance.gauss(20.0, 5.0)) for step in range(500)]
    found = steps_until_diverged(calm + lost)
    assert found is not None
    assert 300 < found < 300 + 300
