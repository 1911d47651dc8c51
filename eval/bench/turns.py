"""Systems timed in turn on the same work, so that what slows the machine slows all of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from time import perf_counter, sleep
from typing import TypeVar

T = TypeVar("T")


def in_turn(
    systems: Mapping[str, Callable[[T], object]], work: Iterable[T], *, pause: float = 0.0
) -> dict[str, list[float]]:
    """Give each piece of work to every system, one after another; return seconds by system.

    `pause` is the seconds of rest before each: the threads of the last one may still be spinning.
    """
    times: dict[str, list[float]] = {name: [] for name in systems}
    for piece in work:
        for name, system in systems.items():
            sleep(pause)
            begin = perf_counter()
            system(piece)
            times[name].append(perf_counter() - begin)
    return times


def speed_over(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Return how many times faster ours is: the median of their seconds over ours, turn by turn."""
    return round(median(their / our for their, our in zip(theirs, ours, strict=True)), 2)


def speeds_over(
    peers: Iterable[str], times: Mapping[str, Sequence[float]], name: str
) -> dict[str, float]:
    """Return how many times faster one system is than each of its peers."""
    return {peer: speed_over(times[peer], times[name]) for peer in peers if peer != name}
