"""A service behind a server that can go away and come back at the same address."""

import socket
import threading
import time
from pathlib import Path
from typing import Self

import uvicorn

from search.api.app import create_app
from search.api.settings import ApiSettings
from search.service.service import Service
from search.service.settings import ServiceSettings


class Served:
    """A service of an index folder; its HTTP server dies with `down` and returns with `up`."""

    def __init__(self, folder: Path, settings: ApiSettings | None = None) -> None:
        """Choose a free port of this machine."""
        self._service = Service(folder, ServiceSettings())
        self._settings = settings or ApiSettings(access_log=False)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread()

    @property
    def base(self) -> str:
        """Its address, up or down."""
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Listen and answer."""
        config = uvicorn.Config(
            create_app(self._service, self._settings), port=self._port, log_level="critical"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)

    def down(self) -> None:
        """Close every connection and refuse new ones."""
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None

    def __enter__(self) -> Self:
        """Start the service and its server."""
        self._service.start()
        self.up()
        return self

    def __exit__(self, *exception: object) -> None:
        """End both."""
        self.down()
        self._service.close(10)
