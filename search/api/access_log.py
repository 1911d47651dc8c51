"""A line of JSON for every request, written beside the event loop."""

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TextIO

import orjson
from starlette.types import Scope

from search.api.exchange import Exchange

# Bytes of lines that may wait for a stream that has stalled, some ten thousand requests.
MAX_WAITING = 1 << 22


class AccessLog:
    """Writes who asked for what and how it was answered; neither keys nor queries are in it.

    A thread writes: a stream that nobody reads would hold up every request otherwise. What comes
    while too much waits is dropped, and a later line says how many were.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream, a line at a time."""
        self._stream = stream
        self._turn = threading.Condition()
        self._waiting: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self._writing = False
        self._thread: threading.Thread | None = None

    def __call__(self, scope: Scope, exchange: Exchange) -> None:
        """Have a request's line written."""
        client = scope.get("client")
        line = _line(
            id=exchange.id,
            client=client[0] if client else None,
            key=exchange.key.fingerprint if exchange.key else None,
            method=scope["method"],
            path=scope["path"].encode(errors="replace").decode(),
            status=exchange.status,
            error=exchange.code,
            bytes=exchange.sent,
            ms=round((monotonic() - exchange.came) * 1000, 2),
        )
        with self._turn:
            if self._size + len(line) > MAX_WAITING:
                self._dropped += 1
                return
            self._waiting.append(line)
            self._size += len(line)
            self._turn.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._write_all, name="cloze-log", daemon=True
                )
                self._thread.start()

    def drain(self, seconds: float) -> bool:
        """Wait until every line is written, so many seconds at most; return whether it is."""
        with self._turn:
            return self._turn.wait_for(lambda: not (self._waiting or self._writing), seconds)

    def _write_all(self) -> None:
        while True:
            lines = self._next()
            # A log that can't be written is no reason to stop.
            with suppress(OSError, ValueError):
                self._write(lines)

    def _next(self) -> bytes:
        """Return all lines that wait, as soon as there are some."""
        with self._turn:
            self._writing = False
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._waiting)
            lines, self._waiting, self._size = self._waiting, [], 0
            dropped, self._dropped = self._dropped, 0
            self._writing = True
        if dropped:
            lines.append(_line(dropped=dropped))
        return b"".join(lines)

    def _write(self, lines: bytes) -> None:
        try:
            file = self._stream.fileno()
        except (OSError, ValueError):  # it is no file
            self._stream.write(lines.decode())
            self._stream.flush()
            return
        # Past the stream's own buffer, whose lock the process needs to end.
        while lines:
            lines = lines[os.write(file, lines) :]


def _line(**fields: Any) -> bytes:  # noqa: ANN401 - whatever JSON holds
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return orjson.dumps({"time": now, **fields}, option=orjson.OPT_APPEND_NEWLINE)
