"""The thread that writes: what waits together shares a commit, in the order of its coming."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from indexer.errors import ClozeError
from indexer.lock import LockedError
from search.service.handles import Handles
from search.service.models import Models
from search.service.observer import Observer
from search.service.settling import answer, begun, fail, is_late
from search.service.waiting import Waiting
from search.service.worker import Step
from search.service.writes import (
    Compact,
    DeleteMatching,
    Put,
    Write,
    Written,
    apply,
    check_put,
    expected,
    groups,
)

if TYPE_CHECKING:
    from indexer.index import Index

# Documents and ids of one commit, but for a request that has more.
_GROUP = 1_000
# How often at most a write starts over because another process has put other data in place.
_TRIES = 5
_LOG = logging.getLogger(__name__)


class Writer:
    """Writes and compactions that wait for one thread.

    A write is answered when it is durable and can be found; what an index then does for itself, to
    save its vectors or to compact, goes on in this thread.
    """

    def __init__(self, handles: Handles, models: Models, observer: Observer) -> None:
        """Open nothing yet."""
        self._handles = handles
        self._models = models
        self._observer = observer
        self._lock = threading.Lock()
        self.compaction = "idle"
        self.waiting: Waiting[Write | Compact] = Waiting()

    def compact(self) -> bool:
        """Have the index compacted; false where that goes on already."""
        with self._lock:
            if self.compaction == "running":
                return False
            self.compaction = "running"
        self.waiting.put([Compact()])
        return True

    @contextmanager
    def session(self) -> Iterator[Step]:
        """Open a handle."""
        self._models.serve_as("documents")
        with self._handles.open() as index:
            yield partial(self._step, index)

    def _step(self, index: "Index") -> bool:
        jobs = self.waiting.take(_GROUP)
        waiting = (each for each in jobs if not isinstance(each, Compact))
        for group in groups(_sound(begun(waiting, "write", self._observer))):
            self._write(index, group)
        if any(isinstance(each, Compact) for each in jobs):
            self._compact(index)
        return not self.waiting.stopped

    def _write(self, index: "Index", group: Sequence[Write]) -> None:
        """Write a group; after an error each of it by itself, so that one fails."""
        try:
            index.refresh()
            foreseen = expected(index.store, group)
        except Exception as error:
            for each in group:
                fail(each.future, error)
            return
        failed = self._error_of(index, group, foreseen)
        if failed is None:
            return
        if len(group) == 1 or isinstance(failed, LockedError):  # which the next one would be, too
            for each in group:
                fail(each.future, failed)
            return
        for each, written in zip(group, foreseen, strict=True):
            if is_late(each, monotonic()):
                continue
            if (its_error := self._error_of(index, [each], [written])) is not None:
                fail(each.future, its_error)

    def _error_of(
        self, index: "Index", group: Sequence[Write], foreseen: Sequence[Written]
    ) -> Exception | None:
        """Write a group and answer it, or return the error for which it was not answered."""
        told = False

        def published(gone: int) -> None:
            nonlocal told
            told = True
            notices = tuple(index.notices[known:])
            for each, written in zip(group, foreseen, strict=True):
                if isinstance(each, DeleteMatching):
                    written = replace(written, deleted=gone)
                answer(each.future, replace(written, version=index.version, notices=notices))

        known = len(index.notices)
        try:
            self._apply(index, group, published, lambda: told)
        except Exception as error:
            if not told:
                return error
            _LOG.exception("%s: a write was answered, what follows it failed", index.folder)
        return None

    def _apply(
        self,
        index: "Index",
        group: Sequence[Write],
        published: Callable[[int], None],
        is_told: Callable[[], bool],
    ) -> None:
        """Write a group, again where other data came in its place before it was published."""
        for _ in range(_TRIES):
            before = index.manifest
            try:
                with self._settling(index):
                    apply(index, group, published)
                return
            except ClozeError:
                index.refresh()
                if index.manifest == before or is_told():
                    raise
        apply(index, group, published)

    @contextmanager
    def _settling(self, index: "Index") -> Iterator[None]:
        """Keep the models for this thread while an index's first documents settle its precision."""
        if index.manifest.encoder is None or index.store.holds_passages:
            yield
            return
        with self._models.exclusive():
            try:
                yield
            finally:
                self._handles.adopt(index)

    def _compact(self, index: "Index") -> None:
        try:
            index.refresh()
            index.compact()
        except Exception as error:
            _LOG.exception("compacting %s failed", index.folder)
            # It is shown to clients, who are told no paths.
            shown = str(error).replace(str(index.folder), index.folder.name)
            self.compaction = f"failed: {shown}"
        else:
            self.compaction = "idle"


def _sound(writes: Sequence[Write]) -> list[Write]:
    """Return the writes that can be made; the others fail."""
    sound = []
    for each in writes:
        try:
            if isinstance(each, Put):
                check_put(each)
            sound.append(each)
        except Exception as error:
            fail(each.future, error)
    return sound
