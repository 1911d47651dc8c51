"""A service behind a server that can go away and come back at the same address."""

import socket
import threading
import time
from typing import Self

import uvicorn

from search.api.app import create_app
from search.api.settings import ApiSettings
from search.service.service import Service


class Served:
    """A service; its HTTP server dies with `down` and returns with `up`."""

    def __init__(self, service: Service, settings: ApiSettings | None = None) -> None:
        """Choose a free port of this machine; whoever made the service starts and ends it."""
        self._service = service
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
        """Start the server."""
        self.up()
        return self

    def __exit__(self, *exception: object) -> None:
        """End it."""
        self.down()
