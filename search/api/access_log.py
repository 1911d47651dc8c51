"""A line of JSON for every request."""

from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import TextIO

import orjson
from starlette.types import Scope

from search.api.exchange import Exchange


class AccessLog:
    """Writes who asked for what and how it was answered; neither keys nor queries are in it."""

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream, a line at a time."""
        self._stream = stream

    def __call__(self, scope: Scope, exchange: Exchange) -> None:
        """Write a request's line."""
        client = scope.get("client")
        line = orjson.dumps(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "id": exchange.id,
                "client": client[0] if client else None,
                "key": exchange.key.fingerprint if exchange.key else None,
                "method": scope["method"],
                "path": scope["path"].encode(errors="replace").decode(),
                "status": exchange.status,
                "error": exchange.code,
                "bytes": exchange.sent,
                "ms": round((monotonic() - exchange.came) * 1000, 2),
            }
        )
        # A log that can't be written is no reason to fail the request.
        with suppress(OSError, ValueError):
            self._stream.write(line.decode() + "\n")
            self._stream.flush()
