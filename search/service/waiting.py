"""Jobs in the order of their coming, taken several at once by one thread."""

import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar


class Sized(Protocol):
    """A job that tells how much it is: requests, or documents."""

    @property
    def size(self) -> int:
        """How much of a batch it takes."""

    @property
    def future(self) -> "Future[Any]":
        """What its answer is put into; one that is settled gives its place up."""


_Job = TypeVar("_Job", bound=Sized)


class Waiting(Generic[_Job]):
    """A queue that many threads put into and one takes from, without polling."""

    def __init__(self) -> None:
        """Begin empty."""
        self._turn = threading.Condition(threading.Lock())
        self._jobs: deque[_Job] = deque()
        self.stopped = False

    def put(self, jobs: Iterable[_Job]) -> None:
        """Add jobs behind those that wait, all at once; what nobody waits for is dropped."""
        with self._turn:
            while self._jobs and self._jobs[0].future.done():
                self._jobs.popleft()
            self._jobs.extend(jobs)
            self._turn.notify()

    def take(self, most: int, *, wait: bool = True) -> list[_Job]:
        """Remove and return the first jobs, as `first` does; wait until there is one.

        None come where `wait` is false and none is there, and after `stop`.
        """
        with self._turn:
            while wait and not self._jobs and not self.stopped:
                self._turn.wait()
            return [] if self.stopped else first(self._jobs, most)

    def stop(self) -> None:
        """Give nothing from now on, and wake who waits."""
        with self._turn:
            self.stopped = True
            self._turn.notify_all()


def first(jobs: "deque[_Job]", most: int) -> list[_Job]:
    """Remove and return the first jobs, `most` of size together; at least one, if there is any."""
    taken: list[_Job] = []
    size = 0
    while jobs and (not taken or size + jobs[0].size <= most):
        size += jobs[0].size
        taken.append(jobs.popleft())
    return taken
