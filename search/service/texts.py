"""The thread that embeds and ranks texts: requests take turns, and share forward passes."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from indexer.errors import RequestError
from indexer.models import DEFAULT_MODEL
from search.service.handles import Handles
from search.service.models import Models
from search.service.observer import Observer
from search.service.parts import Part, Work, run
from search.service.settling import answer, begun, fail
from search.service.waiting import Waiting
from search.service.worker import Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.encoder import Encoder
    from indexer.index import Index
    from indexer.passages import PassageRule

# Makes the work of a request for an encoder, by the index's rule for passages.
Begin = Callable[["Encoder", "PassageRule"], Work[Any]]

# Requests that take turns; the others wait until one of them is done.
_AT_ONCE = 64


@dataclass(slots=True, kw_only=True, eq=False)
class TextJob:
    """A request about texts."""

    begin: Begin
    deadline: float
    arrived: float = field(default_factory=monotonic)
    future: "Future[Any]" = field(default_factory=Future)
    size: int = 1


@dataclass(slots=True, eq=False)
class _Active:
    """A request in its turns: its work, and the part of it that is to be run next."""

    job: TextJob
    work: Work[Any]
    part: Part


class Texts:
    """Requests about texts that wait for one thread."""

    def __init__(
        self, handles: Handles, models: Models, batch_tokens: int, observer: Observer
    ) -> None:
        """Run parts of about so many tokens together."""
        self._handles = handles
        self._models = models
        self._batch_tokens = batch_tokens
        self._observer = observer
        self._active: deque[_Active] = deque()
        self.waiting: Waiting[TextJob] = Waiting()

    @contextmanager
    def session(self) -> Iterator[Step]:
        """Open a handle, which is only to know the encoder and the rule of the newest commit."""
        self._models.serve_as("pairs")
        with self._handles.open() as index:
            yield partial(self._step, index)

    def _step(self, index: "Index") -> bool:
        room = _AT_ONCE - len(self._active)
        jobs = self.waiting.take(room, wait=not self._active) if room else []
        for job in begun(jobs, "text", self._observer):
            self._begin(index, job)
        self._active = deque(
            each for each in self._active if begun([each.job], "text", self._observer)
        )
        if self._active:
            self._run(self._turn())
        return not self.waiting.stopped

    def _begin(self, index: "Index", job: TextJob) -> None:
        try:
            index.refresh()
            self._handles.follow(index)
            if index.manifest.encoder is None:
                raise RequestError(
                    f"{index.folder} was built with --lexical-only, so it has no encoder to embed "
                    "or rank texts with; give it one with: cloze reindex "
                    f"{index.folder} --model {DEFAULT_MODEL}"
                )
            work = job.begin(index.encoder, index.manifest.rule)
        except Exception as error:
            fail(job.future, error)
            return
        self._advance(job, work, None)

    def _advance(
        self, job: TextJob, work: Work[Any], outputs: "NDArray[np.float32] | None"
    ) -> None:
        """Send a request the outputs of its part; it has another one, or is done."""
        try:
            part = next(work) if outputs is None else work.send(outputs)
        except StopIteration as end:
            answer(job.future, end.value)
        except Exception as error:
            fail(job.future, error)
        else:
            self._active.append(_Active(job, work, part))

    def _turn(self) -> list[_Active]:
        """Take the request whose turn it is, and those behind it that go with it."""
        chosen: list[_Active] = []
        others: deque[_Active] = deque()
        tokens = 0
        while self._active:
            each = self._active.popleft()
            fits = tokens + each.part.tokens <= self._batch_tokens
            if not chosen or (fits and each.part.model is chosen[0].part.model):
                chosen.append(each)
                tokens += each.part.tokens
            else:
                others.append(each)
        self._active = others
        return chosen

    def _run(self, chosen: Sequence[_Active]) -> None:
        """Run parts together; after an error each by itself, so that one fails."""
        inputs: list[Any] = [item for each in chosen for item in each.part.inputs]
        try:
            outputs = run(chosen[0].part.model, inputs)
        except Exception as error:
            if len(chosen) == 1:
                fail(chosen[0].job.future, error)
                return
            for each in chosen:
                self._run([each])
            return
        start = 0
        for each in chosen:
            end = start + len(each.part.inputs)
            self._advance(each.job, each.work, outputs[start:end])
            start = end
