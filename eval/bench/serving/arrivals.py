"""When requests arrive: schedules that are fixed before the first one is sent."""

import numpy as np


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Draw arrivals of independent users, so many a second: exponential gaps, by a seed.

    Returns:
        Ascending seconds from the start, each below `seconds`.
    """
    # Ten standard deviations more than are expected, so that the schedule is never cut short.
    count = int(rate * seconds + 10 * (rate * seconds) ** 0.5) + 10
    times = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))
    return [float(each) for each in times[times < seconds]]


def constant(rate: float, seconds: float) -> list[float]:
    """Space arrivals evenly, so many a second, the first at once.

    Returns:
        Ascending seconds from the start, each below `seconds`.
    """
    times = np.arange(int(np.ceil(rate * seconds))) / rate
    return [float(each) for each in times[times < seconds]]


def schedule(kind: str, rate: float, seconds: float, seed: int) -> list[float]:
    """Make the arrivals of a kind, `poisson` or `constant`."""
    return constant(rate, seconds) if kind == "constant" else poisson(rate, seconds, seed)
