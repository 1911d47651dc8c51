"""A service without an index, whose answers a test decides."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from indexer.documents import Document
from indexer.filters import Filter
from indexer.manifest import Defaults
from search.api.app import create_app
from search.api.settings import ApiSettings
from search.hits import Hit, Place, Request, Results, ScoredPassage, Span
from search.service.description import Described
from search.service.description import Field as FieldOf
from search.service.errors import BusyError
from search.service.jobs import Read
from search.service.observer import Unobserved
from search.service.settings import Limits, ServiceSettings
from search.service.writes import Written

HIT = Hit(
    rank=1, id="a/b", score=0.75, title="Title", snippet="one two", snippet_start=0,
    highlights=(Span(0, 3),), passage=Span(0, 7),
    passages=(ScoredPassage(start=0, end=7, score=1),),
    metadata={"year": 1999}, stages={"lexical": Place(1, 2.5), "dense": None, "fused": None},
)  # fmt: skip


# As the service would never tell it: with paths.
DESCRIBED = Described(
    name="docs", version="7", documents=12, passages=34, size_bytes=5678, language="english",
    analyzer={"stemmer": "english"},
    fields=(FieldOf(name="year", kinds=("number",), documents=9),),
    modes=("lexical",), encoder=None, rerankers=("none",), faiss=None,
    defaults=Defaults(rerank="/secret/place/judge"),
    compaction="failed: /secret/place/docs is full",
    limits=Limits(),
)  # fmt: skip


def results(request: Request) -> Results:
    """One hit, whatever was asked."""
    return Results(
        query=request.query, mode="lexical", hits=(HIT,), took_ms={"lexical": 1.0, "total": 2.0},
        index_version="7",
    )  # fmt: skip


def done(value: object) -> "Future[Any]":
    """A future that has come true, or failed."""
    future: Future[Any] = Future()
    if isinstance(value, BaseException):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


@dataclass
class StubService:
    """Answers at once, unless `hold` is set; what came is in `calls`."""

    settings: ServiceSettings = field(default_factory=ServiceSettings)
    folder: Path = Path("/secret/place/docs")
    ready: bool = True
    observer: Any = field(default_factory=Unobserved)
    answer: Callable[[Any], Any] | None = None
    hold: bool = False
    full: frozenset[str] = frozenset()
    calls: list[Any] = field(default_factory=list)
    held: "list[Future[Any]]" = field(default_factory=list)
    documents: dict[str, Document] = field(default_factory=dict)
    encoder: Any = None

    @property
    def in_flight(self) -> dict[str, int]:
        return {"searches": len(self.held), "slow": 0, "texts": 0, "writes": 0}

    def check_room(self, kind: str) -> None:
        if kind in self.full:
            raise BusyError(f"too many {kind} are in flight", 2.4)

    def _settled(self, call: object, value: Callable[[], Any]) -> "Future[Any]":
        self.calls.append(call)
        if self.hold:
            future: Future[Any] = Future()
            self.held.append(future)
            return future
        return done(self.answer(call) if self.answer else value())

    def search(self, requests: Sequence[Request], deadline: float) -> "Future[Any]":
        return self._settled(requests, lambda: [results(each) for each in requests])

    def document(self, id: str, deadline: float) -> "Future[Any]":
        found = self.documents.get(id)
        return self._settled(id, lambda: found and Read(document=found, version="7"))

    def put(self, documents: Sequence[Document], deadline: float) -> "Future[Any]":
        self.documents |= {each.id: each for each in documents}
        return self._settled(documents, lambda: Written(added=len(documents), version="8"))

    def delete(self, ids: Sequence[str], deadline: float) -> "Future[Any]":
        gone = sum(self.documents.pop(id, None) is not None for id in ids)
        return self._settled(ids, lambda: Written(deleted=gone, version="9"))

    def delete_matching(self, condition: Filter, deadline: float) -> "Future[Any]":
        return self._settled(condition, lambda: Written(deleted=3, version="9"))

    def describe(self, deadline: float) -> "Future[Any]":
        return self._settled("describe", lambda: DESCRIBED)

    def compact(self) -> bool:
        self.calls.append("compact")
        return True


@contextmanager
def stubbed(settings: ServiceSettings) -> Iterator[tuple[StubService, TestClient]]:
    """A stub and a client of the app before it."""
    service = StubService(settings=settings)
    app = create_app(service, ApiSettings(access_log=False))  # type: ignore[arg-type]
    with TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield service, client
