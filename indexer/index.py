"""The one door to an index folder: open, add, delete, compact, and read at one commit."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias

from indexer.batching import batches, refuse_duplicate, unique
from indexer.changes import Changes, check_some
from indexer.compaction import compact
from indexer.creation import seal
from indexer.documents import Document
from indexer.filters import Filter
from indexer.lock import writer_lock
from indexer.manifest import check_encoder
from indexer.opened import OpenedIndex
from indexer.preparation import Batch, prepare
from indexer.progress import Progress, Step, silent
from indexer.seen import SeenIds

if TYPE_CHECKING:
    from indexer.token_vectors import TokenCoder

_LEXICAL_BATCH_FACTOR = 16
# Seconds between two visible commits of a long run.
_COMMIT_SECONDS = 10.0
# Above this share of dead documents compaction starts by itself.
_DEAD_SHARE = 0.1
# Hears what was written, when it is durable and can be found.
Published: TypeAlias = Callable[[Changes], None]
# The vectors' file is written anew when at least this share of the documents was written.
_REWRITE_SHARE = 0.05


def tell_nobody(changes: Changes) -> None:
    """Hear of what was published, where nobody asked to."""


class Index(OpenedIndex):
    """An index folder, read at one commit until `refresh`, and written one transaction at a time.

    Use it from one thread; several processes may open one folder.
    """

    def add(
        self,
        documents: Iterable[Document],
        *,
        sync: bool = False,
        atomic: bool = False,
        duplicate: Callable[[Document], None] = refuse_duplicate,
        progress: Progress = silent,
        published: Published = tell_nobody,
    ) -> Changes:
        """Add or replace documents; each batch is on disk when the next one is read.

        With `atomic` all of them are written in one transaction, or none: all are encoded before,
        and lie in memory until then. With `sync`, documents that did not come are deleted at the
        end, in a transaction of their own. What is unchanged is
        neither encoded nor written again. `duplicate` hears of an id's second document in this
        run, which is left out unless it raises; by default it does. `published` is called when all
        that was written can be found, before segments are merged, vectors saved and dead documents
        compacted; it may not write.

        Raises:
            ClozeError: an id came twice; what was acknowledged before stays, unless `atomic`.
        """
        self.refresh()
        if self.manifest.encoder is not None and self.store.holds_passages:
            check_encoder(self.folder, self.manifest.encoder, seal(self.encoder))
        changes = Changes()
        seen = SeenIds()
        committed = monotonic()
        prepared = self._prepared(unique(documents, seen, duplicate), progress)
        try:
            for some in [list(prepared)] if atomic else ([batch] for batch in prepared):
                self._write(some, changes, progress)
                if monotonic() - committed > _COMMIT_SECONDS:
                    self._commit_lexical(changes, progress)
                    committed = monotonic()
            if sync:
                check_some(self.folder, changes, self.lexical.count)
                gone = [id_ for id_ in self.store.live_ids() if id_ not in seen]
                changes.deleted = self._delete(gone)
        except BaseException:
            # The error that stopped the run is the one to tell; the next open replays the rest.
            with contextlib.suppress(Exception):
                self._finish(changes, progress)
            raise
        self._finish(changes, progress, published)
        return changes

    def _settle(self, documents: list[Document]) -> None:
        """Hold an encoder of less than full precision against the first documents of all."""
        if self.manifest.encoder is None:
            return
        from indexer.sealed_encoder import settle

        self.__dict__["encoder"] = settle(self, documents)
        sealed = seal(self.encoder)
        if sealed != self.manifest.encoder:
            self._reseal(sealed)

    def _prepared(self, documents: Iterator[Document], progress: Progress) -> Iterator[Batch]:
        """Yield documents batch by batch, ready to be written, the encoder settled on the first."""
        factor = 1 if self.manifest.encoder is not None else _LEXICAL_BATCH_FACTOR
        settled = self.store.holds_passages
        before = 0
        for some in batches(documents, factor):
            if not settled:
                self._settle(some)
            batch = self._prepare(some, before, progress)
            settled = settled or any(entry.passages for entry in batch.entries)
            before += len(some)
            yield batch

    def _prepare(self, documents: list[Document], before: int, progress: Progress) -> Batch:
        def tell(finished: int) -> None:
            progress(Step(phase="encode", documents=before + finished))

        tell(0)
        encoder = self.encoder if self.manifest.encoder is not None else None
        return prepare(documents, self.store, encoder, self.manifest.rule, tell, self._coder)

    @property
    def _coder(self) -> "TokenCoder | None":
        return self.token_coder if self.manifest.token_vectors is not None else None

    def _write(self, prepared: Sequence[Batch], changes: Changes, progress: Progress) -> None:
        """Write what is prepared in one transaction."""
        progress(Step(phase="store", documents=changes.documents))
        entries = [entry for batch in prepared for entry in batch.entries]
        if entries:
            coder = self._coder
            with self._writing():
                if coder is not None:
                    self.store.keep_projection(coder.matrix.tobytes())
                self.store.write(entries)
        for batch in prepared:
            changes.count(batch)
        progress(Step(phase="store", documents=changes.documents))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the writer's lock and one transaction, on the data that the manifest still names."""
        with writer_lock(self.folder):
            self._check_current()
            with self.store.transaction():
                yield

    def delete(
        self,
        ids: Sequence[str],
        *,
        progress: Progress = silent,
        published: Published = tell_nobody,
    ) -> int:
        """Delete documents by id; return how many there were. `published` is as in `add`."""
        self.refresh()
        changes = Changes(deleted=self._delete(ids))
        self._finish(changes, progress, published)
        return changes.deleted

    def delete_matching(
        self,
        condition: Filter,
        *,
        progress: Progress = silent,
        published: Published = tell_nobody,
    ) -> int:
        """Delete the documents that a filter passes; `published` is as in `add`."""
        self.refresh()
        with self._writing():  # so that none is replaced between its selection and its end
            numbers = self.store.matching(condition, self.store.sequence).tolist()
            deleted = self.store.delete(list(self.store.ids(numbers).values()))
        self._finish(Changes(deleted=deleted), progress, published)
        return deleted

    def _delete(self, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        with self._writing():
            return self.store.delete(ids)

    def _commit_lexical(
        self, changes: Changes, progress: Progress, committed: Callable[[], None] = lambda: None
    ) -> None:
        progress(Step(phase="lexical", documents=changes.documents))
        with writer_lock(self.folder):
            self._check_current()
            self.lexical.reload()
            self.lexical.catch_up(self.store, self.store.sequence, committed)

    def _finish(
        self, changes: Changes, progress: Progress, published: Published = tell_nobody
    ) -> None:
        """Bring what is derived up to the store, and compact where too much is dead."""

        def committed() -> None:
            self.refresh()
            published(changes)

        self._commit_lexical(changes, progress, committed)
        written = changes.added + changes.updated + changes.deleted
        progress(Step(phase="dense", documents=changes.documents))
        if self._worth_saving(written):
            from indexer.vectors import save_vectors

            save_vectors(
                self,
                self.dense,
                told=lambda rows: progress(Step(phase="dense", documents=rows)),
            )
        progress(Step(phase="seal", documents=changes.documents))
        with writer_lock(self.folder):
            self.store.fold()
        dead = max(self.store.dead(), self.lexical.dead)
        if dead > _DEAD_SHARE * (dead + self.lexical.count):
            self.compact(progress=progress)
            changes.notices.append(f"compacted by itself: {dead} dead documents removed")

    def _worth_saving(self, written: int) -> bool:
        saved = any((self.data / "dense").glob("*.safetensors"))
        much = not saved or written > _REWRITE_SHARE * self.lexical.count
        return much and self.manifest.encoder is not None

    def compact(
        self,
        *,
        faiss: str | None = None,
        recall: float | None = None,
        progress: Progress = silent,
    ) -> None:
        """Make the index what a fresh build of the live documents would be.

        With `faiss` (a factory string, or "auto" to go by size) or `recall`, the vectors' index is
        from now on of that kind and of that recall at ten.

        Raises:
            ClozeError: FAISS knows no such kind, or the recall is no share.
        """
        compact(self, faiss, recall, progress)
