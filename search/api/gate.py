"""The gate before the routes: a full queue is told before a body is read."""

from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from search.api.errors import unavailable
from search.api.paths import is_service, kind

if TYPE_CHECKING:
    from search.service.service import Service


class Gate:
    """Lets those in who can be served."""

    def __init__(self, app: ASGIApp, *, service: "Service") -> None:
        """Stand before an app that asks this service."""
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 429 or 503."""
        path = scope["path"]
        if is_service(path):
            if not self._service.ready:
                raise unavailable("the service does not answer yet, or no longer")
            queue = kind(scope["method"], path)
            if queue is not None:
                self._service.check_room(queue)
        await self._app(scope, receive, send)
