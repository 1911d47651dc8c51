"""The app: routes behind their guards."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from search.api import (
    document_routes,
    embeddings,
    index_routes,
    operation_routes,
    page,
    rerank,
    search_routes,
)
from search.api.access_log import AccessLog
from search.api.cors import Cors
from search.api.errors import ApiError
from search.api.front import Front, Journal
from search.api.gate import Gate, no_such_path
from search.api.guards import HostGuard, KeyGuard, OriginGuard, RateGuard
from search.api.metrics import Metrics
from search.api.names import Names
from search.api.openapi import describe_api
from search.api.rate import Rate
from search.api.settings import ApiSettings
from search.api.tracing import tracing

if TYPE_CHECKING:
    from search.service.service import Service

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


def create_app(service: "Service", settings: ApiSettings) -> FastAPI:
    """Make the app that answers with a service, which may have been started or not.

    Raises:
        ClozeError: the settings don't go together.
    """
    settings.check()
    metrics = Metrics()
    names = _names(service)
    service.observer = metrics
    access_log = AccessLog(sys.stderr) if settings.access_log else None
    app = FastAPI(
        # /docs and /redoc would load scripts from elsewhere.
        openapi_url="/openapi.json", docs_url=None, redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(
                Front, metrics=metrics, names=names, timeout=service.settings.timeout,
                journals=_journals(access_log), guard=partial(_guarded, service, settings),
            )
        ],
        exception_handlers={HTTPException: _unrouted},
    )  # fmt: skip
    app.state.service = service
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.names = names
    app.state.access_log = access_log
    for module in (
        search_routes, document_routes, index_routes, embeddings, rerank, operation_routes, page
    ):  # fmt: skip
        app.include_router(module.router)
    describe_api(app, service.settings.limits, keyed=settings.keys is not None)
    return app


def _journals(access_log: AccessLog | None) -> list[Journal]:
    journals: list[Journal] = [access_log] if access_log is not None else []
    if (trace := tracing()) is not None:
        journals.append(trace)
    return journals


def _guarded(service: "Service", settings: ApiSettings, app: ASGIApp) -> ASGIApp:
    """Put the guards before an app; a request meets the last one first."""
    keyed = settings.keys is not None
    app = Gate(app, service=service)
    if settings.rate is not None:
        app = RateGuard(app, rate=Rate(settings.rate))
    app = OriginGuard(app, origins=settings.cors)
    app = KeyGuard(app, keys=settings.keys, read_only=settings.read_only)
    app = Cors(app, origins=settings.cors)
    return HostGuard(
        app, host=settings.host, loopback=settings.loopback, keyed=keyed,
        allowed=settings.allowed_hosts,
    )  # fmt: skip


def _names(service: "Service") -> Names:
    rerank = service.settings.rerank
    folders: list[Path] = [service.folder]
    if rerank is not None and Path(rerank).is_absolute():
        folders.append(Path(rerank))
    return Names.of(*folders)


async def _unrouted(request: Request, error: Exception) -> Response:
    """Tell of a path that is not there, or of a method that it does not take."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    path, method = request.scope["path"], request.scope["method"]
    if status == 404:
        raise no_such_path()
    if status == 405:
        allowed = ", ".join(_allowed(request))
        raise ApiError(
            405, f"{method} is not for this path; it takes {allowed}", headers={"Allow": allowed}
        )
    raise AssertionError(f"{path} raised {status}")


def _allowed(request: Request) -> list[str]:
    """Return the methods that a path takes, by any of its routes."""
    routes = request.app.router.routes

    def takes(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    found = [method for method in _METHODS if takes(method)]
    return ["GET", "HEAD", *found[1:]] if found[:1] == ["GET"] else found
