"""The life of a service's threads: started together, ended together, whatever happens to one."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from time import monotonic
from typing import Any

from indexer.errors import ClozeError
from search.service.errors import StoppingError
from search.service.gate import Gate
from search.service.worker import Session, Worker

_STOPPING = "the service is stopping; send the request again later"
_FAILED = "the service has failed and takes nothing more; start it again"
# For threads that have nothing left to do.
_JOIN_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


class Life:
    """Threads, each with a session, and gates that are open while all of them live."""

    def __init__(
        self,
        sessions: Mapping[str, Callable[[], Session]],
        gates: Mapping[str, Gate],
        stop: Callable[[], None],
    ) -> None:
        """Name threads by their sessions; `stop` makes every session's step return false."""
        self.ready = False
        self._failed = False
        self._gates = gates
        self._stop = stop
        self._workers = [
            Worker(f"cloze-{name}", session, partial(self._died, name))
            for name, session in sessions.items()
        ]

    def start(self) -> None:
        """Start one thread after the other, and then open the gates.

        Raises:
            Exception: what opening a session raised; no thread is left then.
        """
        try:
            for worker in self._workers:
                worker.start()
        except BaseException:
            self._stop()
            self._join(monotonic() + _JOIN_SECONDS)
            raise
        for gate in self._gates.values():
            gate.open()
        self.ready = not self._failed
        if self._failed:  # meanwhile
            self._refuse(_FAILED)

    def close(self, seconds: float) -> bool:
        """Close the gates, wait so many seconds for those inside, fail the rest, end all.

        A thread that is still at something, as a compaction, is not waited for to its end. Returns
        whether all that was inside was answered.
        """
        until = monotonic() + seconds
        self._refuse(_STOPPING)
        finished = all([gate.drained(until) for gate in self._gates.values()])
        self._fail_all(_STOPPING)
        self._stop()
        self._join(monotonic() + min(seconds, _JOIN_SECONDS))
        return finished

    def admit(self, future: "Future[Any]", *kinds: str) -> None:
        """Take a place at each of these gates, or at none.

        Raises:
            BusyError: as many are in flight as may be.
            StoppingError: the gates are closed.
        """
        try:
            for kind in kinds:
                self._gates[kind].admit(future)
        except ClozeError:
            future.cancel()  # which gives up the places that it has
            raise

    def _died(self, name: str, error: BaseException) -> None:
        """Fail all that waits, when a thread has ended by an error of ours."""
        _LOG.error("the thread %s ended", name, exc_info=error)
        self._failed = True
        self._refuse(_FAILED)
        self._fail_all(_FAILED)
        self._stop()

    def _refuse(self, reason: str) -> None:
        self.ready = False
        for gate in self._gates.values():
            gate.close(reason)

    def _fail_all(self, reason: str) -> None:
        for gate in self._gates.values():
            gate.fail_all(StoppingError(reason))

    def _join(self, until: float) -> None:
        for worker in self._workers:
            worker.join(until - monotonic())
