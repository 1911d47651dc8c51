"""The one thread that runs models: queries at once, long work in slices between them."""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from indexer.runtime.rows import token_budget
from search.service.errors import LateError, StoppingError
from search.service.jobs import Search
from search.service.observer import Observer
from search.service.settling import answer, fail
from search.service.waiting import first
from search.service.worker import Step

if TYPE_CHECKING:
    from indexer.runtime.forward import Outputs
    from indexer.runtime.model import Model, Ran
    from indexer.runtime.rows import TokenRow

    Batches = list[tuple[list[int], Outputs]]

# Seconds that work of a kind lets others go first; a query's turn is when it comes.
ALLOWANCE = {"query": 0.0, "pairs": 0.05, "documents": 0.2}


@dataclass(order=True, slots=True)
class _Slice:
    """A part of a caller's rows, due at an instant; `number` settles equal ones."""

    due: float
    number: int
    kind: str = field(compare=False)
    model: "Model" = field(compare=False)
    rows: "Sequence[TokenRow]" = field(compare=False)
    future: "Future[Batches]" = field(compare=False, default_factory=Future)


class Models:
    """Forward passes of all models, one after another, the earliest due first.

    Queries are due when they come, slices of other work some allowance later, so that a query waits
    for what came before it and for one slice of anything else at most, and nothing starves.
    """

    def __init__(
        self,
        encode: Callable[[Sequence[Search]], Sequence[Search]],
        batch_queries: int,
        observer: Observer,
    ) -> None:
        """Give waiting searches to `encode`, at most so many queries at once, in the thread.

        It returns those that it left for later; they are the first ones then.
        """
        self._encode = encode
        self._batch_queries = batch_queries
        self._observer = observer
        lock = threading.Lock()
        self._work = threading.Condition(lock)  # the thread waits here
        self._free = threading.Condition(lock)  # and here those who want the models for themselves
        self._searches: deque[Search] = deque()
        self._slices: list[_Slice] = []
        self._numbers = count()
        self._running = False
        self._claims = 0
        self._local = threading.local()
        self._stopped = False

    def submit(self, search: Search) -> None:
        """Have the query vectors of a search made."""
        with self._work:
            self._searches.append(search)
            self._work.notify()

    def serve_as(self, kind: str) -> None:
        """Say of what kind the rows are that the calling thread will run: pairs or documents."""
        self._local.kind = kind

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Refuse what the calling thread runs after an instant of `time.monotonic`."""
        self._local.deadline = deadline
        try:
            yield
        finally:
            self._local.deadline = inf

    @contextmanager
    def session(self) -> Iterator[Step]:
        """Make the calling thread the one that runs models."""
        self._local.inline = True
        yield self._step

    def run(self, model: "Model", rows: "Sequence[TokenRow]") -> "Ran":
        """Run rows of a model that is shared, in slices, for the calling thread.

        The next slice runs while the caller reads the last; no more lies in memory.

        Raises:
            LateError: the time that the thread has for it is over.
            StoppingError: the service ends.
        """
        if getattr(self._local, "inline", False):
            yield from model.run_here(rows)
            return
        pending: tuple[list[int], Future[Batches]] | None = None
        for places in slices([len(row.ids) for row in rows], slice_tokens(model.device)):
            following = places, self._submit(model, [rows[place] for place in places])
            if pending is not None:
                yield from _placed(*pending)
            pending = following
        if pending is not None:
            yield from _placed(*pending)

    def _submit(self, model: "Model", rows: "Sequence[TokenRow]") -> "Future[Batches]":
        kind = getattr(self._local, "kind", "query")
        if monotonic() > getattr(self._local, "deadline", inf):
            raise LateError("the request's time was over while it ran; ask for less")
        part = _Slice(monotonic() + ALLOWANCE[kind], next(self._numbers), kind, model, rows)
        with self._work:
            if self._stopped:
                raise StoppingError("the service is stopping; send the request to another")
            heapq.heappush(self._slices, part)
            self._work.notify()
        return part.future

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep every other thread from running models, which the calling one may do meanwhile.

        OpenVINO sets up what its calls share in the first of them; first calls of two models at
        once have been seen to wait for each other without end.
        """
        if getattr(self._local, "inline", False):
            yield
            return
        with self._free:
            self._claims += 1
            while self._running:
                self._free.wait()
            self._running = True
        self._local.inline = True
        try:
            yield
        finally:
            self._local.inline = False
            with self._free:
                self._claims -= 1
                self._running = False
                self._free.notify()
                self._work.notify()

    def _step(self) -> bool:
        with self._work:
            while not self._stopped and not self._may_run():
                self._work.wait()
            if self._stopped:
                return False
            searches, part = self._next()
            self._running = True
        try:
            if part is not None:
                self._run_slice(part)
            elif left := self._encode(searches):
                with self._work:
                    self._searches.extendleft(reversed(left))
        finally:
            with self._free:
                self._running = False
                self._free.notify()
        return True

    def _may_run(self) -> bool:
        return bool(self._searches or self._slices) and not self._claims

    def _next(self) -> tuple[Sequence[Search], _Slice | None]:
        if self._slices and (not self._searches or self._slices[0].due < self._searches[0].arrived):
            return (), heapq.heappop(self._slices)
        return first(self._searches, self._batch_queries), None

    def _run_slice(self, part: _Slice) -> None:
        self._observer.batch(part.kind, len(part.rows), sum(len(row.ids) for row in part.rows))
        try:
            found = list(part.model.run_here(part.rows))
        except BaseException as error:
            fail(part.future, error)
            if not isinstance(error, Exception):
                raise
        else:
            answer(part.future, found)

    def stop(self) -> None:
        """Run nothing from now on; who waits for rows hears of it."""
        with self._work:
            self._stopped = True
            parts, self._slices = self._slices, []
            self._work.notify_all()
        for part in parts:
            fail(part.future, StoppingError("the service is stopping; send the request to another"))


def slice_tokens(device: str) -> int:
    """Return how many tokens are run without looking whether a query has come: 1,024 on a CPU."""
    return token_budget(device) // 2


def slices(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Cut rows, by their tokens, into parts of at most so many or one row, the longest first."""
    part: list[int] = []
    tokens = 0
    for place in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        if part and tokens + lengths[place] > most:
            yield part
            part, tokens = [], 0
        part.append(place)
        tokens += lengths[place]
    if part:
        yield part


def _placed(places: Sequence[int], future: "Future[Batches]") -> "Ran":
    for inner, outputs in future.result():
        yield [places[each] for each in inner], outputs
