"""The one door to an index folder: open, add, delete, compact, and read at one commit."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Self

from indexer import generations
from indexer.analysis import Analyzer
from indexer.batching import batches, refuse_duplicate, unique
from indexer.changes import Changes
from indexer.creation import Settings, check_settings, create, seal
from indexer.documents import Document
from indexer.errors import ClozeError, DamagedIndexError
from indexer.filters import Filter
from indexer.lexical import open_lexical
from indexer.lock import writer_lock
from indexer.manifest import (
    Manifest,
    check_encoder,
    read_manifest,
)
from indexer.models import DEFAULT_MODEL, find_model
from indexer.passages import PassageRule
from indexer.preparation import prepare
from indexer.progress import Phase, Progress, Step, silent
from indexer.seen import SeenIds
from indexer.store import Store
from indexer.threads import budget

if TYPE_CHECKING:
    from indexer.dense import Dense
    from indexer.encoder import Encoder

_LEXICAL_BATCH_FACTOR = 16
# Seconds between two visible commits of a long run.
_COMMIT_SECONDS = 10.0
# Above this share of dead documents compaction starts by itself.
_DEAD_SHARE = 0.1
# The vectors' file is written anew when at least this share of the documents was written.
_REWRITE_SHARE = 0.05


class Index:
    """An index folder, read at one commit until `refresh`, and written one transaction at a time.

    Use it from one thread; several processes may open one folder.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, device: str = "cpu", threads: int | None = None
    ) -> None:
        """Open the structures of a folder whose manifest has been read; `open` is the way in."""
        self.folder = folder
        self.manifest = manifest
        self.device = device
        self.threads = budget(threads)
        self.notices: list[str] = []
        self.data = folder / manifest.data
        self.analyzer = Analyzer(manifest.language)
        home = self.data / "lexical"
        # What a new index lacks is made by one process, the postings last.
        with contextlib.nullcontext() if generations.current(home) else writer_lock(folder):
            self.store = Store(self.data / "store.sqlite")
            self.lexical = open_lexical(home, self.analyzer, manifest.title_weight, self.notices)
        self._replay()
        self._purges = self.store.purges
        self.sequence = self.lexical.covered

    @classmethod
    def open(
        cls,
        folder: str | Path,
        settings: Settings | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        progress: Progress = silent,
    ) -> Self:
        """Open an index; with `settings`, create it where there is none.

        Raises:
            ClozeError: it is no index, or was built with other settings than those asked for.
            DamagedIndexError: what can't be derived again is damaged.
        """
        path = Path(folder)
        made = None
        if settings is not None and not (path / "manifest.json").exists():
            progress(Step(phase="create", documents=0))
            made = create(path, settings, device, budget(threads))
        manifest = read_manifest(path)
        analyzer = Analyzer(manifest.language).describe()
        if analyzer != manifest.analyzer:
            raise ClozeError(
                f"{path} was built with analyzer {manifest.analyzer}, this cloze has {analyzer}; "
                "index the corpus into a new folder"
            )
        if settings is not None:
            check_settings(path, manifest, settings)
        index = cls(path, manifest, device=device, threads=threads)
        if made is not None:
            index.__dict__["encoder"] = made
        elif settings is not None and settings.model is not None:
            index._load_encoder(settings.model)
        return index

    def close(self) -> None:
        """Free files and threads."""
        self.store.close()
        if "dense" in self.__dict__:
            self.dense.close()

    def __enter__(self) -> Self:
        """Give the index; leaving closes it."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the index."""
        self.close()

    @cached_property
    def encoder(self) -> "Encoder":
        """The encoder of the manifest, loaded at first use and checked against it.

        Raises:
            ClozeError: the index is lexical-only, or the checkpoint is not the one it was built
                with.
        """
        if self.manifest.encoder is None:
            raise ClozeError(
                f"{self.folder} was built with --lexical-only; search it with --mode lexical, or "
                f"give it vectors with: cloze reindex {self.folder} --model {DEFAULT_MODEL}"
            )
        return self._load_encoder(self.manifest.encoder.name)

    def _load_encoder(self, model: str) -> "Encoder":
        from indexer.encoder import Encoder

        encoder = Encoder(find_model(model), device=self.device, threads=self.threads)
        sealed = self.manifest.encoder
        # Precision is sealed for documents; a query may be encoded by another processor.
        found = seal(encoder)
        check_encoder(
            self.folder, sealed, replace(found, precision=sealed.precision) if sealed else found
        )
        self.__dict__["encoder"] = encoder
        return encoder

    @cached_property
    def dense(self) -> "Dense":
        """The vectors, loaded at first use and brought to this index's commit."""
        from indexer.dense import Dense

        if self.manifest.encoder is None:
            raise ClozeError(f"{self.folder} was built with --lexical-only and has no vectors")
        dense = Dense(self.data / "dense", self.manifest.encoder.dimension, self.threads)
        self.notices += dense.damage
        dense.catch_up(self.store, self.sequence)
        return dense

    def refresh(self) -> None:
        """Move to the newest commit that is whole; call it between two queries."""
        state = (self.store.sequence, self.store.purges)
        if state == (self.sequence, self._purges):
            return
        self._purges = state[1]
        self.lexical.reload()
        self.sequence = self.lexical.covered
        if "dense" in self.__dict__:
            with self.store.snapshot():
                self.dense.catch_up(self.store, self.sequence)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read the newest whole commit, which stays as it is until the end."""
        while True:
            self.refresh()
            with self.store.snapshot():
                # Else rows of this commit were purged after the postings were read: read again.
                if self.store.purges == self._purges:
                    yield
                    return

    def add(
        self,
        documents: Iterable[Document],
        *,
        sync: bool = False,
        duplicate: Callable[[Document], None] = refuse_duplicate,
        progress: Progress = silent,
    ) -> Changes:
        """Add or replace documents; each batch is on disk when the next one is read.

        With `sync`, documents that did not come are deleted at the end. What is unchanged is
        neither encoded nor written again. `duplicate` hears of an id's second document in this
        run, which is left out unless it raises; by default it does.

        Raises:
            ClozeError: an id came twice; what was acknowledged before stays.
        """
        self._check_precision()
        changes = Changes()
        seen = SeenIds()
        committed = monotonic()
        try:
            for batch in batches(unique(documents, seen, duplicate), self._batch_factor()):
                self._write(batch, changes, progress)
                if monotonic() - committed > _COMMIT_SECONDS:
                    self._commit_lexical(changes, progress)
                    committed = monotonic()
            if sync:
                gone = [id_ for id_ in self.store.live_ids() if id_ not in seen]
                changes.deleted = self._delete(gone)
        finally:
            self._finish(changes, progress)
        return changes

    def _check_precision(self) -> None:
        sealed = self.manifest.encoder
        if sealed is not None:
            check_encoder(self.folder, sealed, seal(self.encoder))

    def _batch_factor(self) -> int:
        return _LEXICAL_BATCH_FACTOR if self.manifest.encoder is None else 1

    def _write(self, documents: list[Document], changes: Changes, progress: Progress) -> None:
        def tell(phase: Phase, more: int = 0) -> None:
            progress(Step(phase=phase, documents=changes.documents + more))

        tell("encode")
        encoder = self.encoder if self.manifest.encoder is not None else None
        rule = PassageRule(
            tokens=self.manifest.passage_tokens, overlap=self.manifest.passage_overlap
        )
        finished = 0

        def encoded(texts: int) -> None:
            nonlocal finished
            finished += texts
            tell("encode", min(finished, len(documents) - 1))

        batch = prepare(documents, self.store, encoder, rule, encoded)
        tell("store")
        if batch.entries:
            with self._writing():
                self.store.write(batch.entries)
        changes.documents += len(documents)
        changes.added += len(batch.entries) - batch.updated
        changes.updated += batch.updated
        changes.unchanged += batch.unchanged
        changes.encoded_texts += batch.encoded_texts
        tell("store")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the writer's lock and one transaction, on the data that the manifest still names."""
        with writer_lock(self.folder):
            self._check_current()
            with self.store.transaction():
                yield

    def _check_current(self) -> None:
        if read_manifest(self.folder) != self.manifest:
            raise ClozeError(
                f"{self.folder} was reindexed by another process while this one had it open; "
                "run this again"
            )

    def delete(self, ids: Sequence[str], *, progress: Progress = silent) -> int:
        """Delete documents by id; return how many there were."""
        changes = Changes(deleted=self._delete(ids))
        self._finish(changes, progress)
        return changes.deleted

    def delete_matching(self, condition: Filter, *, progress: Progress = silent) -> int:
        """Delete the documents that a filter passes; return how many there were."""
        numbers = self.store.matching(condition, self.store.sequence).tolist()
        return self.delete(list(self.store.ids(numbers).values()), progress=progress)

    def _delete(self, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        with self._writing():
            return self.store.delete(ids)

    def _commit_lexical(self, changes: Changes, progress: Progress) -> None:
        progress(Step(phase="lexical", documents=changes.documents))
        with writer_lock(self.folder):
            self._check_current()
            self.lexical.reload()
            self.lexical.catch_up(self.store, self.store.sequence)

    def _finish(self, changes: Changes, progress: Progress) -> None:
        """Bring what is derived up to the store, and compact where too much is dead."""
        self._commit_lexical(changes, progress)
        self.refresh()
        written = changes.added + changes.updated + changes.deleted
        progress(Step(phase="dense", documents=changes.documents))
        with writer_lock(self.folder):
            if self._worth_saving(written):
                self.dense.catch_up(self.store, self.sequence)
                self.dense.save()
            progress(Step(phase="seal", documents=changes.documents))
            self.store.fold()
        dead = self.store.dead()
        if dead > _DEAD_SHARE * (dead + self.lexical.count):
            self.compact(progress=progress)
            changes.notices.append(f"compacted by itself: {dead} dead documents removed")

    def _worth_saving(self, written: int) -> bool:
        if self.manifest.encoder is None:
            return False
        saved = any((self.data / "dense").glob("*.faiss"))
        return not saved or written > _REWRITE_SHARE * self.lexical.count

    def compact(self, *, progress: Progress = silent) -> None:
        """Make the index what a fresh build of the live documents would be."""
        documents = self.lexical.count
        with writer_lock(self.folder):
            self._check_current()
            progress(Step(phase="lexical", documents=documents))
            self.lexical.rebuild(self.store)
            self.sequence = self.lexical.covered
            if self.manifest.encoder is not None:
                progress(Step(phase="dense", documents=documents))
                self.dense.catch_up(self.store, self.store.sequence)
                self.dense.save()
            progress(Step(phase="seal", documents=documents))
            # Last, so that a crash before leaves the dead to be counted and the work to be redone.
            self.store.purge()
            self._purges = self.store.purges
            self.store.shrink()

    def _replay(self) -> None:
        """Apply what a crash left in the store alone; where a writer is at work, it will."""
        covered, sequence = self.lexical.covered, self.store.sequence
        if covered > sequence:
            raise DamagedIndexError(
                f"{self.store.path} ends at transaction {sequence}, the postings at {covered}: the "
                f"store was lost or is an older copy; restore it, or delete {self.folder} and "
                "index the corpus again"
            )
        if covered == sequence:
            return
        with contextlib.suppress(ClozeError, OSError, sqlite3.OperationalError):
            with writer_lock(self.folder, wait=0):
                self.lexical.reload()
                self.lexical.catch_up(self.store, self.store.sequence)
