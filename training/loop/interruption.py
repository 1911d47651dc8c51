"""A stop from outside, obeyed between two steps."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Holds back Ctrl-C and SIGTERM until the state on hand is whole.

    A second one acts at once. Outside the main thread nothing is held back.
    """

    def __init__(self) -> None:
        """Hold back nothing yet."""
        self._before: dict[int, Any] = {}
        self._asked: int | None = None

    def __enter__(self) -> Self:
        """Take over the handlers."""
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._note) for each in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        """Give the handlers back, and do what was asked."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._asked is not None and kind is None:
            signal.raise_signal(self._asked)

    @property
    def asked(self) -> bool:
        """Tell whether to stop."""
        return self._asked is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked is not None:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
        self._asked = number
