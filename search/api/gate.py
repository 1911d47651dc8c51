"""The gate before the routes: who finds no place is told before a body is read."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from search.api.errors import ApiError, busy, unavailable
from search.api.paths import is_inexact, is_service, kind
from search.service.settings import SHARING

if TYPE_CHECKING:
    from search.service.service import Service

# Requests of a kind that are read or answered, for each that the service takes: while some are
# searched, as many can be read.
_PLACES = 2


class Gate:
    """Lets those in who can be served.

    A request has a place here from its head to the end of its answer. The service counts only what
    has been read: without these places the bodies of all connections would be read at once.
    """

    def __init__(self, app: ASGIApp, *, service: "Service") -> None:
        """Stand before an app that asks this service."""
        self._app = app
        self._service = service
        self._places = Counter(searches=1, texts=1, writes=SHARING)
        for queue in self._places:
            self._places[queue] *= _PLACES * service.settings.queue
        self._taken: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 404, 429 or 503."""
        method, path = scope["method"], scope["path"]
        if is_inexact(method, path):
            raise no_such_path()
        if is_service(path) and not self._service.ready:
            raise unavailable("the service does not answer yet, or no longer")
        queue = kind(method, path)
        if queue is None:
            await self._app(scope, receive, send)
            return
        with self._place(queue, self._weight(queue, scope)):
            await self._app(scope, receive, send)

    def _weight(self, queue: str, scope: Scope) -> int:
        """Return how many places a request takes: a write as many as others may share its body.

        So there may be more writes than searches, and no more bytes of them.
        """
        if queue != "writes":
            return 1
        length = Headers(scope=scope).get("content-length", "")
        most = self._service.settings.limits.body // SHARING
        small = scope["method"] == "DELETE" or (
            length.isdecimal() and len(length) < 20 and int(length) <= most
        )
        return 1 if small else SHARING

    @contextmanager
    def _place(self, queue: str, weight: int) -> Iterator[None]:
        self._service.check_room(queue)
        if self._taken[queue] + weight > self._places[queue]:
            taken = self._taken[queue]
            raise busy(f"{taken:,} {queue} are being read already; come again in 1 s", 1.0)
        self._taken[queue] += weight
        try:
            yield
        finally:
            self._taken[queue] -= weight


def no_such_path() -> ApiError:
    """Return the 404 of a path that no route has."""
    return ApiError(404, "there is no such path; /openapi.json lists those there are")
