"""Systems timed in turn on the same work, so that what slows the machine slows all of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from time import perf_counter, sleep
from typing import TypeVar

T = TypeVar("T")

# Seconds of rest before each turn: threads of the last system may still be spinning.
_REST = 0.01


def in_turn(
    systems: Mapping[str, Callable[[T], object]], work: Iterable[T]
) -> dict[str, list[float]]:
    """Give each piece of work to every system, one after another; return seconds by system.

    Every other piece goes round backwards, so that none always comes behind the same other one.
    """
    times: dict[str, list[float]] = {name: [] for name in systems}
    order = list(systems)
    for piece in work:
        for name in order:
            sleep(_REST)
            begin = perf_counter()
            systems[name](piece)
            times[name].append(perf_counter() - begin)
        order.reverse()
    return times


def speed_over(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Return how many times faster ours is: the median of their seconds over ours, turn by turn."""
    return round(median(their / our for their, our in zip(theirs, ours, strict=True)), 2)


def speeds_over(
    peers: Iterable[str], times: Mapping[str, Sequence[float]], name: str
) -> dict[str, float]:
    """Return how many times faster one system is than each of its peers."""
    return {peer: speed_over(times[peer], times[name]) for peer in peers if peer != name}
