"""A thread that opens what it works with, and then works step by step."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TypeAlias

# Does what waits, as soon as there is something; false when the thread is to end.
Step: TypeAlias = Callable[[], bool]
Session: TypeAlias = AbstractContextManager[Step]


class Worker:
    """One thread of the service; what a session opens is opened, used and closed in it."""

    def __init__(
        self, name: str, session: Callable[[], Session], died: Callable[[BaseException], None]
    ) -> None:
        """Make it ready to start; `died` hears of an error that ended it."""
        self._session = session
        self._died = died
        self._opened: Future[None] = Future()
        # Not to be waited for when the process ends: a compaction may go on for minutes, and
        # whatever is killed leaves a whole index.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread, and wait until its session is open.

        Raises:
            Exception: what opening it raised.
        """
        self._thread.start()
        self._opened.result()

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, so many seconds at most."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, seconds))

    def _run(self) -> None:
        try:
            with self._session() as step:
                self._opened.set_result(None)
                while step():
                    pass
        except BaseException as error:
            if self._opened.done():
                self._died(error)
            else:
                self._opened.set_exception(error)
