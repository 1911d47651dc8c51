"""Threads of a service held still, so that a test decides what waits together."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from indexer.index import Index
from search.service.jobs import Call
from search.service.lanes import Lane
from search.service.service import Service

Serve = Callable[..., Service]


def soon() -> float:
    """A deadline that no test comes to."""
    return monotonic() + 60


def until(true: Callable[[], bool]) -> None:
    """Wait until something has become true, or fail."""
    waited = threading.Event()
    for _ in range(4000):
        if true():
            return
        waited.wait(0.005)
    raise AssertionError("it did not come to that")


@contextmanager
def models_held(service: Service) -> Iterator[None]:
    """Let no forward pass begin."""
    with service._models.exclusive():
        yield


@contextmanager
def lane_held(lane: Lane) -> Iterator[None]:
    """Let a lane take nothing more."""
    begun, end = threading.Event(), threading.Event()

    def hold(index: Index) -> None:
        begun.set()
        assert end.wait(30)

    lane.waiting.put([Call(kind="document", read=hold, deadline=monotonic() + 60)])
    assert begun.wait(10)
    try:
        yield
    finally:
        end.set()
