"""The one door to an index folder: open, add, delete, compact, and read at one commit."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Self

from indexer.analysis import Analyzer
from indexer.batching import batches, refuse_duplicate, unique
from indexer.changes import Changes, check_some
from indexer.compaction import compact
from indexer.creation import Settings, check_settings, create, load_sealed, seal
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.filters import Filter
from indexer.lock import writer_lock
from indexer.manifest import (
    EncoderSeal,
    check_encoder,
    check_unchanged,
    read_manifest,
    read_stamped,
    stamp,
    with_unsealed,
    write_manifest,
)
from indexer.models import DEFAULT_MODEL
from indexer.preparation import prepare
from indexer.progress import Phase, Progress, Step, silent
from indexer.seen import SeenIds
from indexer.structures import open_structures
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

    def __init__(self, folder: Path, *, device: str = "cpu", threads: int | None = None) -> None:
        """Open the structures of a folder that is an index; `open` is the way in."""
        self.folder = folder
        self.device = device
        self.threads = budget(threads)
        self.notices: list[str] = []
        self._attach()

    def _attach(self) -> None:
        """Open the data that the manifest names, again where it is replaced meanwhile."""
        while True:
            self.manifest, self._seen = read_stamped(self.folder)
            self.data = self.folder / self.manifest.data
            self.analyzer = Analyzer(self.manifest.language)
            self.store, self.lexical = open_structures(
                self.folder, self.data, self.analyzer, self.manifest.title_weight, self.notices
            )
            if stamp(self.folder) == self._seen:
                break
            self.store.close()
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
        index = cls(path, device=device, threads=threads)
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
        encoder = load_sealed(self.folder, self.manifest, model, self.device, self.threads)
        sealed = self.manifest.encoder
        if sealed is not None and sealed.name != encoder.checkpoint.name:
            self._rename_encoder(replace(sealed, name=encoder.checkpoint.name))
        self.__dict__["encoder"] = encoder
        return encoder

    def _rename_encoder(self, seal: EncoderSeal) -> None:
        """Note the new place of the same checkpoint."""
        with writer_lock(self.folder):
            self._check_current()
            self.manifest = replace(read_manifest(self.folder), encoder=seal)
            write_manifest(self.folder, self.manifest)
        self._seen = stamp(self.folder)

    @cached_property
    def dense(self) -> "Dense":
        """The vectors, loaded at first use and brought to this index's commit."""
        from indexer.vectors import open_vectors

        return open_vectors(self)

    def refresh(self) -> None:
        """Move to the newest commit that is whole; call it between two queries.

        After another process has reindexed, that is a commit of the new data.
        """
        if stamp(self.folder) != self._seen:
            self._follow()
        state = (self.store.sequence, self.store.purges)
        if state == (self.sequence, self._purges):
            return
        self.lexical.reload()
        self.sequence, self._purges = self.lexical.covered, state[1]
        if "dense" in self.__dict__:
            with self.store.snapshot():
                self.dense.catch_up(self.store, self.sequence)

    def _follow(self) -> None:
        """Take up the manifest that another process has put in place."""
        manifest, self._seen = read_stamped(self.folder)
        self.manifest = with_unsealed(self.manifest, manifest)
        if "dense" in self.__dict__:
            self.dense.wish = replace(self.dense.wish, faiss=manifest.faiss, recall=manifest.recall)
        if manifest != self.manifest:
            Index.close(self)
            for loaded in ("dense", "encoder"):
                self.__dict__.pop(loaded, None)
            self._attach()

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
        self.refresh()
        if self.manifest.encoder is not None:
            check_encoder(self.folder, self.manifest.encoder, seal(self.encoder))
        changes = Changes()
        seen = SeenIds()
        committed = monotonic()
        factor = 1 if self.manifest.encoder is not None else _LEXICAL_BATCH_FACTOR
        try:
            for batch in batches(unique(documents, seen, duplicate), factor):
                self._write(batch, changes, progress)
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
        self._finish(changes, progress)
        return changes

    def _write(self, documents: list[Document], changes: Changes, progress: Progress) -> None:
        def tell(phase: Phase, finished: int = 0) -> None:
            progress(Step(phase=phase, documents=changes.documents + finished))

        tell("encode")
        encoder = self.encoder if self.manifest.encoder is not None else None
        batch = prepare(
            documents, self.store, encoder, self.manifest.rule, lambda share: tell("encode", share)
        )
        tell("store")
        if batch.entries:
            with self._writing():
                self.store.write(batch.entries)
        changes.count(batch)
        tell("store")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the writer's lock and one transaction, on the data that the manifest still names."""
        with writer_lock(self.folder):
            self._check_current()
            with self.store.transaction():
                yield

    def _check_current(self) -> None:
        check_unchanged(self.folder, self.manifest)

    def delete(self, ids: Sequence[str], *, progress: Progress = silent) -> int:
        """Delete documents by id; return how many there were."""
        self.refresh()
        changes = Changes(deleted=self._delete(ids))
        self._finish(changes, progress)
        return changes.deleted

    def delete_matching(self, condition: Filter, *, progress: Progress = silent) -> int:
        """Delete the documents that a filter passes; return how many there were."""
        self.refresh()
        with self._writing():  # so that none is replaced between its selection and its end
            numbers = self.store.matching(condition, self.store.sequence).tolist()
            deleted = self.store.delete(list(self.store.ids(numbers).values()))
        self._finish(Changes(deleted=deleted), progress)
        return deleted

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
