"""Pages of other origins that may ask, where the operator has named them."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from search.api.exchange import Exchange

ANY = "*"

_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, X-API-Key, X-Request-ID",
    ),
    (b"access-control-max-age", b"600"),
)
_READABLE = (b"access-control-expose-headers", b"X-Request-ID, Retry-After")


class Cors:
    """Tells browsers which foreign pages may ask; it stands before the keys, which they then send.

    Only origins that are named hear of it: CORS is off otherwise.
    """

    def __init__(self, app: ASGIApp, *, origins: Iterable[str]) -> None:
        """Let the pages of these origins read answers."""
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a browser's question beforehand, or let the answer say who may read it."""
        exchange: Exchange = scope["exchange"]
        if self._origins:
            exchange.extra.append((b"vary", b"Origin"))
        origin = exchange.headers.get(b"origin")
        if origin is None or not self._origins & {origin, ANY.encode()}:
            await self._app(scope, receive, send)
            return
        exchange.extra += [(b"access-control-allow-origin", origin), _READABLE]
        asks = b"access-control-request-method" in exchange.headers
        if scope["method"] != "OPTIONS" or not asks:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 204, "headers": [*_PREFLIGHT]})
        await send({"type": "http.response.body", "body": b""})
