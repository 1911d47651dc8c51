"""A service that runs: an index folder behind uvicorn, on a free port of this machine."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from indexer.creation import Settings
from indexer.documents import Document
from search.api.app import create_app
from search.api.protocol import Protocol
from search.api.settings import ApiSettings
from search.index import Index
from search.service.service import Service
from search.service.settings import ServiceSettings


def prompted(documents: Sequence[Document], model: Path, folder: Path) -> Path:
    """Make an index by a model with two prompts, whose vectors are not of norm 1."""
    with Index.open(folder, Settings(model=str(model))) as index:
        index.add(documents[:20])
    return folder


@contextmanager
def serving(
    folder: Path, settings: ServiceSettings | None = None, api: ApiSettings | None = None
) -> Iterator[str]:
    """Serve an index while the block runs, and give the address, without a slash at its end."""
    service = Service(folder, settings or ServiceSettings())
    service.start()
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_app(service, api or ApiSettings(access_log=False))
    config = uvicorn.Config(
        app, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        service.close(10)
