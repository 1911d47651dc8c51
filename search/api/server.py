"""The service as a process: a port, the loaded models, and an end that loses nothing."""

import contextlib
import errno
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from indexer.errors import ClozeError
from search.api.app import create_app
from search.api.protocol import Protocol
from search.api.settings import ApiSettings
from search.service.service import Service
from search.service.settings import ServiceSettings

_BACKLOG = 2048
_KEEP_ALIVE = 30  # seconds that a connection may rest
# Seconds beside a request's own for its answer to be written, when the service stops.
_SPARE = 5


def serve(
    folder: Path,
    service_settings: ServiceSettings,
    api_settings: ApiSettings,
    announce: Callable[[str], None],
) -> None:
    """Serve an index until SIGTERM or SIGINT, and then finish what was accepted.

    `announce` hears the address, as http://127.0.0.1:8000, once requests are answered there. Port 0
    is any that is free. A second signal does not wait for answers.

    Raises:
        ClozeError: the settings don't go together, the port can't be had, or the service can't be
            started.
    """
    api_settings.check()
    with contextlib.closing(bound(api_settings)) as listener:
        service = Service(folder, service_settings)
        try:
            service.start()
            app = create_app(service, api_settings)
            app.openapi()  # now, and not in the first request for it
            # What has been loaded stays: the collector need not look through it in every pause.
            gc.collect()
            gc.freeze()
            _listen(listener, api_settings)
            server = Server(
                configured(app, service_settings),
                lambda: announce(_address(listener, api_settings)),
            )
            with _stopping(server):
                server.run(sockets=[listener])
        finally:
            service.close(service_settings.timeout)


def bound(settings: ApiSettings) -> socket.socket:
    """Take the port, without answering there yet, so that one that is taken fails at once.

    Raises:
        ClozeError: the port or the host can't be had.
    """
    try:
        found = socket.getaddrinfo(
            settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )  # fmt: skip
    except OSError:
        raise ClozeError(
            f"--host {settings.host} is no address of this machine; take 127.0.0.1, or one of its "
            "own"
        ) from None
    # Of localhost's two addresses the one that every client knows.
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _refused(settings, error) from None
    return listener


def _listen(listener: socket.socket, settings: ApiSettings) -> None:
    try:
        listener.listen(_BACKLOG)
    except OSError as error:  # another service loaded at the same time, and was first
        raise _refused(settings, error) from None


def _refused(settings: ApiSettings, error: OSError) -> ClozeError:
    place = f"port {settings.port} of {settings.host}"
    if error.errno == errno.EADDRINUSE:
        return ClozeError(f"{place} is in use; stop what listens there, or choose another --port")
    if error.errno == errno.EACCES:
        return ClozeError(f"{place} is not for this user; choose a --port of 1024 or more")
    return ClozeError(f"{place} can't be had ({error.strerror}); choose another --host or --port")


def _address(listener: socket.socket, settings: ApiSettings) -> str:
    host = settings.host if ":" not in settings.host else f"[{settings.host.strip('[]')}]"
    return f"http://{host}:{listener.getsockname()[1]}"


def configured(app: FastAPI, settings: ServiceSettings) -> uvicorn.Config:
    """Return how uvicorn is run."""
    return uvicorn.Config(
        app, http=Protocol, ws="none", lifespan="off", log_config=None, log_level="critical",
        access_log=False, server_header=False, backlog=_BACKLOG, timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(settings.timeout) + _SPARE,
        # Whoever says so is not always a proxy of ours.
        proxy_headers=False,
    )  # fmt: skip


class Server(uvicorn.Server):
    """uvicorn, whose process ends with 0 where a signal has stopped it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        """Run by a configuration; `ready` is called when the first request may come."""
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and tell."""
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to who runs the server; uvicorn would raise them again at the end."""
        yield


@contextlib.contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    """Let a first SIGTERM or SIGINT end a server in order, and a second one at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
