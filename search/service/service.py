"""The service: one index, one set of models, and the threads that answer many callers."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.filters import Filter
from search.hits import Request, Results
from search.integrity import intact
from search.service.description import Described, describe
from search.service.embedding import Embedded, embed
from search.service.encoding import QueryEncoding
from search.service.errors import StoppingError
from search.service.gate import Gate
from search.service.handles import Handles
from search.service.jobs import Call, Read, Search, search_for
from search.service.lanes import Lane
from search.service.life import Life
from search.service.models import Models
from search.service.observer import Observer, Relay
from search.service.ranking import Ranked, rank
from search.service.rerankers import SharedRerankers
from search.service.settings import SHARING, ServiceSettings
from search.service.texts import TextJob, Texts
from search.service.writer import Writer
from search.service.writes import Delete, DeleteMatching, Put, Write, Written

if TYPE_CHECKING:
    from indexer.encoder import Encoder
    from indexer.index import Index
    from indexer.passages import PassageRule
    from indexer.runtime.checkpoint import Checkpoint
    from indexer.runtime.classifier import ClassifierCheckpoint


class Service:
    """Answers from one index folder; every method may be called from any thread.

    A deadline is an instant of `time.monotonic`: what has not begun by then fails with LateError.
    A future that is cancelled before it has begun gives its place up and is never run. Every
    method that returns one raises BusyError where as many requests of the kind are in flight as
    may be, and StoppingError before `start` and after `close`.
    """

    def __init__(self, folder: Path, settings: ServiceSettings) -> None:
        """Prepare to serve a folder; nothing is opened yet."""
        self.folder = folder
        self.settings = settings
        observer = self._relay = Relay()
        encoding = QueryEncoding(
            lambda: self._handles.served,
            lambda search: self._lane_of(search).begin(search),
            self._hand_on,
            settings.batch_tokens,
            observer,
        )
        self._models = Models(encoding, settings.batch_queries, observer)
        self._handles = Handles(folder, settings, self._models)
        self._rerankers = SharedRerankers(settings.rerank, self._models)
        self._fast = Lane(self._handles, settings.batch_queries, observer)
        self._slow = Lane(self._handles, 1, observer, self._rerankers)
        self._texts = Texts(self._handles, self._models, settings.batch_tokens, observer)
        self._writer = Writer(self._handles, self._models, observer)
        self._gates = {
            "searches": Gate("searches", settings.queue),
            # Half of the places at most, so that plain searches always have room.
            "slow": Gate("reranked or explained searches", max(1, settings.queue // 2)),
            "texts": Gate("embeddings and rankings", settings.queue),
            "writes": Gate("writes", SHARING * settings.queue),
        }
        self._life = Life(
            {
                "models": self._models.session,
                "fast": self._fast.session,
                "slow": self._slow.session,
                "texts": self._texts.session,
                "writer": self._writer.session,
            },
            self._gates,
            self._stop,
        )

    @property
    def ready(self) -> bool:
        """Whether requests are taken: after `start`, before `close`, while every thread lives."""
        return self._life.ready

    def start(self) -> None:
        """Open, load and warm everything; return when the first request may come.

        Raises:
            ClozeError: it is no index, or its encoder or the reranker can't be had.
        """
        self._life.start()

    def close(self, seconds: float) -> bool:
        """Take nothing new, finish what was accepted in so many seconds, and fail the rest.

        Returns whether all of it was answered. A compaction that runs is not waited for.
        """
        return self._life.close(seconds)

    def _stop(self) -> None:
        for each in (self._fast, self._slow, self._texts, self._writer):
            each.waiting.stop()
        self._models.stop()

    @property
    def observer(self) -> Observer:
        """Who hears how the service fares."""
        return self._relay.to

    @observer.setter
    def observer(self, observer: Observer) -> None:
        self._relay.to = observer

    def check_room(self, kind: str) -> None:
        """Check that one more of searches, texts or writes would be taken now.

        Raises:
            BusyError: as many are in flight as may be.
            StoppingError: the service is not ready.
        """
        self._gates[kind].check()

    @property
    def in_flight(self) -> Mapping[str, int]:
        """How many requests are in flight, by kind; slow searches are counted among all, too."""
        return {kind: gate.in_flight for kind, gate in self._gates.items()}

    @property
    def encoder(self) -> "Checkpoint | None":
        """The checkpoint that texts are encoded with, None where the index has none."""
        encoder = self._handles.served.encoder
        return None if encoder is None else encoder.checkpoint

    @property
    def cross_encoder(self) -> "ClassifierCheckpoint | None":
        """The checkpoint that texts are ranked with, None where the encoder ranks them."""
        judge = self._rerankers.cross_encoder
        return None if judge is None else judge.checkpoint

    def search(
        self, requests: Sequence[Request], deadline: float
    ) -> "Future[list[Results | ClozeError]]":
        """Answer requests at one commit, in their order, each with its own error."""
        search = search_for(requests, self._handles.served, deadline)
        self._life.admit(search.future, *(["slow"] if search.slow else []), "searches")
        if search.dense:
            self._models.submit(search)
        else:
            self._hand_on([search])
        return search.future

    def _lane_of(self, search: Search) -> Lane:
        return self._slow if search.slow else self._fast

    def _hand_on(self, searches: Sequence[Search]) -> None:
        """Give searches to their lanes, all of a lane at once."""
        for lane, slow in ((self._fast, False), (self._slow, True)):
            if its := [search for search in searches if search.slow is slow]:
                lane.waiting.put(its)

    def document(self, id: str, deadline: float) -> "Future[Read | None]":
        """Return a document by its id, None where there is none."""

        def read(index: "Index") -> Read | None:
            row = index.store.live([id], index.sequence).get(id)
            if row is None:
                return None
            (document,) = intact(index, [row.number]).values()
            return Read(document=document, version=index.version)

        call = Call(kind="document", read=read, deadline=deadline)
        self._life.admit(call.future, "searches")
        self._fast.waiting.put([call])
        return call.future

    def describe(self, deadline: float) -> "Future[Described]":
        """Describe the index as it is now."""

        def read(index: "Index") -> Described:
            return describe(
                index, self.settings.rerank, self._writer.compaction, self.settings.limits
            )

        call = Call(kind="describe", read=read, deadline=deadline)
        self._life.admit(call.future, "searches")
        self._slow.waiting.put([call])
        return call.future

    def put(self, documents: Sequence[Document], deadline: float) -> "Future[Written]":
        """Add or replace documents; all is durable and searchable when it is answered."""
        return self._write(Put(documents=documents, deadline=deadline))

    def delete(self, ids: Sequence[str], deadline: float) -> "Future[Written]":
        """Delete documents by their ids; those that are not there don't count."""
        return self._write(Delete(ids=ids, deadline=deadline))

    def delete_matching(self, condition: Filter, deadline: float) -> "Future[Written]":
        """Delete the documents that a filter passes."""
        return self._write(DeleteMatching(condition=condition, deadline=deadline))

    def _write(self, write: Write) -> "Future[Written]":
        self._life.admit(write.future, "writes")
        self._writer.waiting.put([write])
        return write.future

    def compact(self) -> bool:
        """Have the index compacted by the thread that writes; false where that goes on already.

        Raises:
            StoppingError: the service is not ready.
        """
        if not self.ready:
            raise StoppingError(
                "the service is not ready to compact its index; ask again when it is"
            )
        return self._writer.compact()

    def embed(
        self,
        inputs: Sequence[str] | Sequence[Sequence[int]],
        deadline: float,
        *,
        queries: bool = False,
    ) -> "Future[Embedded]":
        """Return the vectors of texts, as documents or as queries, or of lists of token ids."""

        def begin(encoder: "Encoder", rule: "PassageRule") -> Any:  # noqa: ANN401
            return embed(encoder, inputs, queries=queries)

        return self._about_texts(TextJob(begin=begin, deadline=deadline))

    def rank(self, query: str, texts: Sequence[str], deadline: float) -> "Future[Ranked]":
        """Score texts against a query, by the served cross-encoder or else by the encoder."""

        def begin(encoder: "Encoder", rule: "PassageRule") -> Any:  # noqa: ANN401
            return rank(encoder, self._rerankers.cross_encoder, rule, query, texts)

        return self._about_texts(TextJob(begin=begin, deadline=deadline))

    def _about_texts(self, job: TextJob) -> "Future[Any]":
        self._life.admit(job.future, "texts")
        self._texts.waiting.put([job])
        return job.future
