"""The service as a process: a port, the loaded models, and an end that loses nothing."""

import asyncio
import contextlib
import errno
import gc
import resource
import signal
import socket
import threading
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
# Files that the index, its models and the log may have open; the other ones are connections.
_RESERVED = 256
_MOST_CONNECTIONS = 4_096
# Seconds for the access log's last lines, and how often a second signal is looked for.
_LOG_SECONDS = 2.0
_TICK = 0.1


def serve(
    folder: Path,
    service_settings: ServiceSettings,
    api_settings: ApiSettings,
    announce: Callable[[str], None],
) -> bool:
    """Serve an index until SIGTERM or SIGINT, and then finish what was accepted.

    `announce` hears the address, as http://127.0.0.1:8000, once requests are answered there. Port 0
    is any that is free. A second signal does not wait for answers. Returns whether all that was
    accepted was answered.

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
        except BaseException:
            service.close(0)
            raise
        server = Server(
            configured(app, service_settings, api_settings),
            lambda: announce(_address(listener, api_settings)),
        )
        with _stopping(server):
            try:
                server.run(sockets=[listener])
            finally:
                finished = _close(service, server, service_settings.timeout)
        if (log := app.state.access_log) is not None:
            log.drain(_LOG_SECONDS)
    return finished


def _close(service: Service, server: "Server", seconds: float) -> bool:
    """Close a service, and return whether all was answered; a second signal does not wait."""
    finished: list[bool] = []
    if not server.force_exit:
        # In a thread, because a wait in this one would go on after a signal.
        closing = threading.Thread(
            target=lambda: finished.append(service.close(seconds)), daemon=True
        )
        closing.start()
        while closing.is_alive() and not server.force_exit:
            closing.join(_TICK)
    if server.force_exit:
        service.close(0)
    return finished == [True] and not server.force_exit


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


def configured(app: FastAPI, settings: ServiceSettings, api: ApiSettings) -> uvicorn.Config:
    """Return how uvicorn is run."""
    return uvicorn.Config(
        app, http=Protocol, ws="none", lifespan="off", log_config=None, log_level="critical",
        access_log=False, server_header=False, backlog=_BACKLOG, timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(settings.timeout) + _SPARE,
        limit_concurrency=api.max_connections or connections_within(
            resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        ),
        # Whoever says so is not always a proxy of ours.
        proxy_headers=False,
    )  # fmt: skip


def connections_within(files: int) -> int:
    """Return how many connections a process may have that may open so many files."""
    if files == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return min(_MOST_CONNECTIONS, max(files - _RESERVED, files // 2))


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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was accepted, or drop it once that is said."""
        watching = asyncio.create_task(self._drop_when_forced())
        try:
            await super().shutdown(sockets)
        finally:
            watching.cancel()

    async def _drop_when_forced(self) -> None:
        while not self.force_exit:
            await asyncio.sleep(_TICK)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

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
