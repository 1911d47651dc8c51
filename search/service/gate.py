"""How many requests of a kind may be in flight, and what the next one is told."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from time import monotonic
from typing import Any

from search.service.errors import BusyError, StoppingError
from search.service.settling import fail

# What a request leaves of the measure of those before it: the last hundred or so count.
_KEPT = 0.99
# Seconds to come again after, before any request has been answered.
_UNMEASURED = 1.0


class Gate:
    """The places of one kind of request; a future holds one from its admission to its end.

    A future ends when it is answered, fails or is cancelled.
    """

    def __init__(self, kind: str, places: int) -> None:
        """Make a closed gate with so many places; `kind` is its name in errors, in plural."""
        self.kind = kind
        self.places = places
        self._turn = threading.Condition(threading.Lock())
        self._futures: set[Future[Any]] = set()
        self._reason: str | None = "the service has not started; wait until it is ready"
        # Seconds with any request in flight, and requests that ended in them; the newest weigh
        # most.
        self._busy = 0.0
        self._ended = 0.0
        self._since = 0.0

    @property
    def in_flight(self) -> int:
        """How many places are taken."""
        return len(self._futures)

    def open(self) -> None:
        """Admit requests from now on."""
        with self._turn:
            self._reason = None

    def admit(self, future: "Future[Any]") -> None:
        """Give a future a place, which it frees by itself.

        Raises:
            StoppingError: the gate is closed.
            BusyError: no place is free.
        """
        with self._turn:
            self._check()
            if not self._futures:
                self._since = monotonic()
            self._futures.add(future)
        future.add_done_callback(self._leave)

    def check(self) -> None:
        """Check that there is a place now, which may be gone at the next instant.

        Raises:
            StoppingError: the gate is closed.
            BusyError: no place is free.
        """
        with self._turn:
            self._check()

    def _check(self) -> None:
        if self._reason is not None:
            raise StoppingError(self._reason)
        if len(self._futures) >= self.places:
            seconds = self._advice()
            raise BusyError(
                f"{len(self._futures)} {self.kind} are in flight, at most {self.places} may be "
                f"(--queue); try again in {seconds:.1f} s",
                seconds,
            )

    def _advice(self) -> float:
        """Return in how many seconds what is in flight will have ended, at the rate of late."""
        pace = self._busy / self._ended if self._ended else _UNMEASURED
        return max(0.1, pace * len(self._futures))

    def _leave(self, future: "Future[Any]") -> None:
        now = monotonic()
        with self._turn:
            self._futures.discard(future)
            self._busy += now - self._since
            self._since = now
            if not future.cancelled():
                self._busy *= _KEPT
                self._ended = self._ended * _KEPT + 1
            if not self._futures:
                self._turn.notify_all()

    def close(self, reason: str) -> None:
        """Admit nothing from now on; `reason` is what is said."""
        with self._turn:
            self._reason = reason

    def drained(self, until: float) -> bool:
        """Wait until no request is in flight, to an instant of `time.monotonic` at most."""
        with self._turn:
            return self._turn.wait_for(lambda: not self._futures, max(0.0, until - monotonic()))

    def fail_all(self, error: BaseException) -> None:
        """Fail all that is in flight, wherever it is."""
        with self._turn:
            futures: Sequence[Future[Any]] = list(self._futures)
        for future in futures:
            fail(future, error)
