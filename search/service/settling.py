"""Futures settled from any thread: each once, whoever comes first."""

from collections.abc import Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol, TypeVar

from search.service.errors import LateError
from search.service.observer import Observer

_Value = TypeVar("_Value")


class Pending(Protocol):
    """Something accepted: when it came, until when it may wait, and who waits for it.

    `arrived` and `deadline` are seconds of `time.monotonic`.
    """

    @property
    def arrived(self) -> float:
        """When it was accepted."""

    @property
    def deadline(self) -> float:
        """When its time is over."""

    @property
    def future(self) -> "Future[Any]":
        """What its answer or error is put into."""


_Job = TypeVar("_Job", bound=Pending)


def answer(future: "Future[_Value]", value: _Value) -> None:
    """Give a future its value, unless it was cancelled or has failed meanwhile."""
    with suppress(InvalidStateError):
        future.set_result(value)


def fail(future: "Future[Any]", error: BaseException) -> None:
    """Give a future its error, unless it was cancelled or settled meanwhile."""
    with suppress(InvalidStateError):
        future.set_exception(error)


def begun(jobs: Iterable[_Job], kind: str, observer: Observer) -> list[_Job]:
    """Return those jobs that are to be run, from now on not to be cancelled.

    Those that were cancelled are passed over; those whose time is over fail with LateError. What
    another stage has begun goes on.
    """
    now = monotonic()
    running = []
    for job in jobs:
        if not job.future.running():
            observer.wait(kind, now - job.arrived)
            if not _starts(job.future):
                continue
        if not is_late(job, now):
            running.append(job)
    return running


def is_late(job: Pending, now: float) -> bool:
    """Whether a job's time is over, in which case it fails with LateError."""
    if now < job.deadline:
        return False
    waited = now - job.arrived
    fail(job.future, LateError(f"the request's time was over after {waited:.1f} s; send it again"))
    return True


def _starts(future: "Future[Any]") -> bool:
    if future.done():
        return False
    try:
        return future.set_running_or_notify_cancel()
    except (InvalidStateError, RuntimeError):  # failed since it was looked at
        return False
