"""What a route reaches through its request: service, settings, the request's own record."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from starlette.requests import Request

from indexer.errors import ClozeError
from search.api.errors import ApiError, refusal
from search.api.exchange import Exchange
from search.api.metrics import Metrics
from search.api.names import Names
from search.api.settings import ApiSettings
from search.service.settings import Limits

if TYPE_CHECKING:
    from search.service.service import Service


def service_of(request: Request) -> "Service":
    """Return the service that answers."""
    return cast("Service", request.app.state.service)


def settings_of(request: Request) -> ApiSettings:
    """Return what the HTTP side was started with."""
    return cast(ApiSettings, request.app.state.settings)


def limits_of(request: Request) -> Limits:
    """Return the most that one request may ask for."""
    return service_of(request).settings.limits


def metrics_of(request: Request) -> Metrics:
    """Return what is counted."""
    return cast(Metrics, request.app.state.metrics)


def exchange_of(request: Request) -> Exchange:
    """Return the record of this request: its id, when it came, whose key it has."""
    return cast(Exchange, request.scope["exchange"])


def deadline_of(request: Request) -> float:
    """Return when this request's time is over, on the clock of `time.monotonic`.

    The time runs from the request's head, so that a slow upload is part of it.
    """
    return exchange_of(request).came + service_of(request).settings.timeout


def names_of(request: Request) -> Names:
    """Return the names that stand for paths in what clients read, the encoder's of now too."""
    names, encoder = cast(Names, request.app.state.names), service_of(request).encoder
    if encoder is None or not Path(encoder.name).is_absolute():
        return names
    return names.beside(Path(encoder.name), encoder.folder)


def refused(request: Request, error: ClozeError) -> ApiError:
    """Return how a client hears of what the service or the engine refused."""
    return refusal(error, names_of(request), service_of(request).settings.timeout)
