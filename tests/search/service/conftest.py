"""An index of the tiny model for every test of the service, and services on copies of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.creation import Settings
from indexer.documents import Document
from search.index import Index
from search.service.service import Service
from search.service.settings import ServiceSettings
from tests.search.service.holding import Serve


@pytest.fixture(scope="session")
def built(
    tiny_model: Path, documents: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index that nobody may change."""
    folder = tmp_path_factory.mktemp("served") / "index"
    settings = Settings(model=str(tiny_model), passage_tokens=32, passage_overlap=8)
    with Index.open(folder, settings) as index:
        index.add(documents)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(built, tmp_path / "index"))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start services that are closed at the end."""
    started = []

    def start(folder: Path, **settings: object) -> Service:
        service = Service(folder, ServiceSettings(threads=2, **settings))  # type: ignore[arg-type]
        started.append(service)
        service.start()
        return service

    yield start
    for service in started:
        service.close(0)


@pytest.fixture(scope="session")
def shared(built: Path) -> Iterator[Service]:
    """A service for tests that only read."""
    service = Service(built, ServiceSettings(threads=2, queue=64))
    service.start()
    yield service
    service.close(0)
