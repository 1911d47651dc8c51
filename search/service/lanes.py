"""The threads that answer searches, each with its own handle: a fast one, and a slow one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from indexer.errors import ClozeError
from search.engine import SearchEngine
from search.hits import Request, Results
from search.reranking.opening import NONE
from search.service.handles import Handles
from search.service.jobs import Call, Search
from search.service.observer import Observer
from search.service.rerankers import SharedRerankers
from search.service.settling import answer, begun, fail
from search.service.waiting import Waiting
from search.service.worker import Step

_WARM = Request(query="warm up", rerank=NONE)


class Lane:
    """Searches that wait for one thread, which answers as many at once as it may, at one commit.

    Only a lane with rerankers may have requests for them, or for explanations.
    """

    def __init__(
        self,
        handles: Handles,
        most: int,
        observer: Observer,
        rerankers: SharedRerankers | None = None,
    ) -> None:
        """Take `most` queries at once."""
        self._handles = handles
        self._most = most
        self._observer = observer
        self._rerankers = rerankers
        self.waiting: Waiting[Search | Call] = Waiting()
        self._engine: SearchEngine | None = None

    def begin(self, search: Search) -> None:
        """Begin what a search needs no vectors for, while they are made; from any thread."""
        if self._engine is not None:
            search.ahead = {place: self._engine.begin(search.requests[place])
                            for place in search.dense}  # fmt: skip

    @contextmanager
    def session(self) -> Iterator[Step]:
        """Open a handle, and search once so that all is loaded."""
        with self._handles.open(tokens=self._rerankers is not None) as index:
            engine = SearchEngine(index)
            try:
                (found,) = engine.search_many([_WARM])
                if isinstance(found, ClozeError):
                    raise found
                self._handles.follow(index)
                if self._rerankers is not None:
                    self._rerankers.warm(engine)
                self._engine = engine
                yield partial(self._step, engine)
            finally:
                engine.close()

    def _step(self, engine: SearchEngine) -> bool:
        jobs = self.waiting.take(self._most)
        for call in jobs:
            if isinstance(call, Call) and begun([call], call.kind, self._observer):
                _read(engine, call)
        waiting = (each for each in jobs if isinstance(each, Search))
        if searches := begun(waiting, "search", self._observer):
            self._search(engine, searches)
            self._handles.follow(engine.index)
        return not self.waiting.stopped

    def _search(self, engine: SearchEngine, searches: Sequence[Search]) -> None:
        """Answer searches together; after an error of ours each by itself, so that one fails."""
        try:
            if self._rerankers is not None:
                self._rerankers.share(engine, [r for each in searches for r in each.requests])
            with self._handles.until(max(each.deadline for each in searches)):
                answers = iter(_found(engine, searches))
        except Exception as error:
            if len(searches) == 1:
                fail(searches[0].future, error)
                return
            for search in searches:
                self._search(engine, [search])
            return
        for search in searches:
            its_answers = [next(answers) for _ in search.requests]
            answer(search.future, its_answers)
            self._tell(its_answers)

    def _tell(self, answers: Sequence[Results | ClozeError]) -> None:
        for each in answers:
            if isinstance(each, Results):
                for stage, ms in each.took_ms.items():
                    self._observer.stage(stage, ms)


def _found(engine: SearchEngine, searches: Sequence[Search]) -> list[Results | ClozeError]:
    """Answer all requests at one commit, with their vectors where its encoder made them.

    The handle may move to another commit only at the beginning, so its encoder afterwards tells
    whether they were the right ones; where not, the engine makes its own.
    """
    requests = [request for search in searches for request in search.requests]
    before = engine.index.manifest.encoder
    vectors = [
        search.vectors.get(place) if search.seal == before else None
        for search in searches
        for place in range(search.size)
    ]
    ahead = [search.ahead.get(place) for search in searches for place in range(search.size)]
    try:
        found = engine.search_many(requests, vectors, ahead)
    except Exception:
        if engine.index.manifest.encoder == before:
            raise
    else:
        if engine.index.manifest.encoder == before:
            return found
    return engine.search_many(requests)


def _read(engine: SearchEngine, call: Call) -> None:
    try:
        with engine.index.reading():
            value = call.read(engine.index)
    except Exception as error:
        fail(call.future, error)
    else:
        answer(call.future, value)
