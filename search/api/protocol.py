"""HTTP/1.1 as uvicorn reads it, with answers in JSON and an end to what comes too slowly."""

import asyncio
import secrets
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from search.api.errors import ApiError

MAX_HEAD = 1 << 17  # bytes of a request's line and headers; httptools reads URLs of 65,535
HEAD_SECONDS = 15.0
# Bytes of a body that are still read, and dropped, when the answer has been sent: a client that
# writes all before it reads would not see the answer otherwise.
_MAX_DROPPED = 1 << 26


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Begin with nothing read."""
        super().__init__(*arguments, **options)
        self._in_head = False
        self._head_bytes = 0
        self._dropped = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head has become too long."""
        began_in_head = self._in_head
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        # What a head has in common with the end of the request before it is not counted.
        self._head_bytes = self._head_bytes + len(data) if began_in_head else 0
        if self._head_bytes > MAX_HEAD:
            most = f"the request's line and headers are longer than {MAX_HEAD:,} bytes"
            self._refuse(ApiError(431, f"{most}; send a search in a body"))
        elif self._head_timer is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._dropped = 0

    def on_headers_complete(self) -> None:
        """Let the request be answered."""
        self._in_head = False
        self._stop_clock()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, or drop it where the answer has been sent."""
        super().on_body(body)
        if self.cycle.response_complete:
            self._dropped += len(body)
            if self._dropped > _MAX_DROPPED:
                self.transport.close()

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

    def _stop_clock(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        """Close a connection whose request has no end, or never began."""
        self._head_timer = None
        if not self.transport.is_closing() and self._idle():
            self.transport.close()

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, error: ApiError) -> None:
        """Answer without a request, and close, unless another answer is on its way."""
        if self._idle():
            id = secrets.token_hex(8)
            body = error.body(id)
            head = (
                b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n"
                b"x-request-id: %s\r\n\r\n" % (len(body), id.encode())
            )
            self.transport.write(STATUS_LINE[error.status] + head + body)
        self.transport.close()
