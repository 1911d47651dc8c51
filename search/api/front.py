"""The outermost of the app: every request gets an id, an answer, a log line and its figures."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexer.errors import ClozeError
from search.api.errors import ApiError, ClientLeft, internal, refusal, unavailable
from search.api.exchange import Exchange, id_of
from search.api.metrics import Metrics
from search.api.names import Names
from search.api.paths import label

log = logging.getLogger("cloze.api")

# Where the client's answer would be, had it waited for one.
_LEFT = 499
# A header that says who asks and from where must not say two things.
_SINGLE = (b"host", b"origin", b"authorization", b"x-api-key", b"content-type")
# What an answer has unless it decides for itself, as the page does.
_DEFAULT = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


class Journal(Protocol):
    """Hears of every answer."""

    def __call__(self, scope: Scope, exchange: Exchange) -> None:
        """Write down a request and how it was answered."""


class Front:
    """Answer whatever comes, errors of everything within included."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        names: Names,
        timeout: float,
        journals: Iterable[Journal],
        guard: Callable[[ASGIApp], ASGIApp],
    ) -> None:
        """Stand before an app and the guards that `guard` puts before it.

        `names` stand for paths in messages, `timeout` is told to who is too late.
        """
        self._app = app
        self._guarded = guard(app)
        self._metrics = metrics
        self._names = names
        self._timeout = timeout
        self._journals = tuple(journals)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; web sockets are closed, as there is nothing for them here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        headers = dict(scope["headers"])
        exchange = Exchange(id=id_of(headers), headers=headers)
        # A copy, because the server itself goes by the method of the original.
        inner = {**scope, "exchange": exchange}
        if scope["method"] == "HEAD":
            inner["method"] = "GET"
        answering = _Answering(send, exchange, bodiless=scope["method"] == "HEAD")
        try:
            await self._answer(inner, receive, answering)
        finally:
            seconds = monotonic() - exchange.came
            self._metrics.answered(label(scope["path"]), exchange.status, seconds, exchange.code)
            for journal in self._journals:
                journal(scope, exchange)

    async def _answer(self, scope: Scope, receive: Receive, send: "_Answering") -> None:
        exchange: Exchange = scope["exchange"]
        try:
            if len(exchange.headers) < len(scope["headers"]):
                _refuse_repeated(scope)
            await self._guarded(scope, receive, send)
        except ClientLeft:
            exchange.status = _LEFT
        except ApiError as error:
            await send.error(error)
        except ClozeError as error:
            told = refusal(error, self._names, self._timeout)
            if told.status == 500:
                log.error("request %s: %s", exchange.id, error)
            await send.error(told)
        except asyncio.CancelledError:
            await send.error(unavailable("the service is stopping; come again when it is back"))
            raise
        except Exception:
            log.exception("request %s failed", exchange.id)
            await send.error(internal())


class _Answering:
    """Sends an answer with the headers that every answer has, and notes what was sent."""

    def __init__(self, send: Send, exchange: Exchange, *, bodiless: bool) -> None:
        self._send = send
        self._exchange = exchange
        self._bodiless = bodiless

    async def __call__(self, message: Message) -> None:
        exchange = self._exchange
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = [*message.get("headers", ()), *exchange.extra]
            own = {name for name, _ in headers}
            headers += [pair for pair in _DEFAULT if pair[0] not in own]
            headers.append((b"x-request-id", exchange.id.encode()))
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            exchange.sent += len(message.get("body", b""))
            if self._bodiless:
                message = {**message, "body": b""}
        await self._send(message)

    async def error(self, error: ApiError) -> None:
        """Answer with an error; where an answer has begun there is nothing to be said."""
        exchange = self._exchange
        exchange.code = error.code
        if exchange.status:
            return
        body = error.body(exchange.id)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
        ]
        await self({"type": "http.response.start", "status": error.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _refuse_repeated(scope: Scope) -> None:
    names = [name for name, _ in scope["headers"]]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise ApiError(
                400, f"the header {name.decode().title()} is there twice; send it once",
                code="repeated_header",
            )  # fmt: skip
