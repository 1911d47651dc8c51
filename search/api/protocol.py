"""HTTP/1.1 as uvicorn reads it, with answers in JSON and an end to what comes too slowly."""

import asyncio
import secrets
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from search.api.errors import ApiError, unavailable

MAX_HEAD = 1 << 17  # bytes of a request's line and headers; httptools reads URLs of 65,535
HEAD_SECONDS = 15.0
# Seconds in which a client that leaves its answer lying must take so many bytes of it.
WRITE_SECONDS = 30.0
MIN_WRITTEN = 1 << 18
MAX_PIPELINED = 64  # requests that wait on one connection for the one before them
# Bytes of a body that are still read, and dropped, when the answer has been sent: a client that
# writes all before it reads would not see the answer otherwise.
_MAX_DROPPED = 1 << 26


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Begin with nothing read."""
        super().__init__(*arguments, **options)
        # uvicorn would answer what is too much itself, in plain text, and hold the connection.
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._in_head = False
        self._fruitless = 0  # bytes since the last that were a body's, or ended something
        self._dropped = 0
        self._lost = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, unless there are too many connections."""
        super().connection_made(transport)
        if self._most is not None and len(self.connections) > self._most:
            most = f"there are {self._most:,} connections already (--max-connections)"
            self._refuse(unavailable(f"{most}; come again when some have ended"))
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._lost = True
        self._stop_head_clock()
        self._stop_write_clock()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head, or what follows a body, has become too long."""
        self._fruitless += len(data)
        # Out of uvicorn's sight: it would stop the clock of a connection at rest for any byte.
        resting, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        super().data_received(data)
        if resting is not None and self._idle() and not self._in_head:
            self.timeout_keep_alive_task = resting
        elif resting is not None:
            resting.cancel()
        if self.transport.is_closing():
            return
        if self._fruitless > MAX_HEAD:
            most = f"the request's line, headers or trailers are longer than {MAX_HEAD:,} bytes"
            self._refuse(ApiError(431, f"{most}; send a search in a body"))
        elif self._in_head and self._head_timer is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True
        self._fruitless = 0
        self._dropped = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer, which comes after the body, is nobody's."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the request be answered; too many in a row are an error of the client's."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise OverflowError(f"more than {MAX_PIPELINED} requests wait on a connection")
        self._in_head = False
        self._fruitless = 0
        self._stop_head_clock()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, or drop it where the answer has been sent."""
        super().on_body(body)
        self._fruitless = 0
        if self.cycle.response_complete:
            self._dropped += len(body)
            if self._dropped > _MAX_DROPPED:
                self._close()

    def on_response_complete(self) -> None:
        """Go on to the next request, or wait for the last of the answer to be taken."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()

    def pause_writing(self) -> None:
        """Wait for the client to take its answer, but not for ever."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """Stop to wait."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_write_clock()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has rested for too long."""
        self.timeout_keep_alive_task = None
        self._close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(
            ApiError(
                400,
                "the request is not valid HTTP, or its URL is longer than 65,535 bytes",
                code="invalid_http",
            )
        )

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_head_clock(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        """Close a connection whose request has no end, or never began."""
        self._head_timer = None
        if self._idle():
            self._close()

    def _await_taking(self) -> None:
        self._stop_write_clock()
        left = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self._check_taken, left)

    def _check_taken(self, before: int) -> None:
        """Drop a connection whose client has not taken enough of its answer."""
        if before - self.transport.get_write_buffer_size() < MIN_WRITTEN:
            self.transport.abort()
        else:
            self._await_taking()

    def _stop_write_clock(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, error: ApiError) -> None:
        """Answer without a request, and close, unless another answer is on its way."""
        if self._idle():
            id = secrets.token_hex(8)
            body = error.body(id)
            headers = {
                "content-type": "application/json",
                "content-length": str(len(body)),
                "connection": "close",
                "x-request-id": id,
                **error.headers,
            }
            lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
            self.transport.write(STATUS_LINE[error.status] + lines.encode() + b"\r\n" + body)
        self._close()

    def _close(self) -> None:
        """Close the connection, also where its client takes nothing more of what is written."""
        self.transport.close()
        if self._write_timer is None and not self._lost:
            self._await_taking()
