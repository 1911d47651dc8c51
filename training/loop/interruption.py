"""A stop from outside, obeyed between two steps."""

import signal
import threading
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(KeyboardInterrupt):
    """Training was stopped from outside by a signal, and what was done is on disk."""

    def __init__(self, number: int) -> None:
        """Name the signal."""
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class Interruption:
    """Holds back Ctrl-C, SIGTERM and SIGHUP until the state on hand is whole.

    A second one acts at once. Outside the main thread nothing is held back, nor is a signal that
    the process ignores, as under nohup.
    """

    def __init__(self) -> None:
        """Hold back nothing yet."""
        self._before: dict[int, Any] = {}
        self._asked: int | None = None

    def __enter__(self) -> Self:
        """Take over the handlers."""
        if threading.current_thread() is threading.main_thread():
            handlers = {each: signal.getsignal(each) for each in _SIGNALS}
            self._before = {
                each: handler
                for each, handler in handlers.items()
                if handler not in (signal.SIG_IGN, None)
            }
            for each in self._before:
                signal.signal(each, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        """Give the handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        """Tell whether to stop."""
        return self._asked is not None

    def error(self) -> StoppedError:
        """Return what ends a run that was asked to stop, here or in another process of it."""
        return StoppedError(self._asked or signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked is not None:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
        self._asked = number
