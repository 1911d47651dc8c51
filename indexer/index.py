"""The one door to an index folder: open, add, delete, compact, and read at one commit."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Self

from indexer.analysis import Analyzer
from indexer.documents import Document
from indexer.errors import ClozeError, DamagedIndexError
from indexer.filters import Filter
from indexer.lexical import Lexical
from indexer.lock import writer_lock
from indexer.manifest import (
    EncoderSeal,
    Manifest,
    check_encoder,
    check_same,
    read_manifest,
    write_manifest,
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

# One transaction holds at most so many documents and characters: memory is flat, and a crash costs
# little encoding.
_BATCH_DOCUMENTS = 512
_BATCH_CHARACTERS = 1_000_000
_LEXICAL_BATCH_FACTOR = 16
# Seconds between two visible commits of a long run.
_COMMIT_SECONDS = 10.0
# Above this share of dead documents compaction starts by itself.
_DEAD_SHARE = 0.1
# The vectors' file is written anew when at least this share of the documents was written.
_REWRITE_SHARE = 0.05
_MIN_PASSAGE_TOKENS = 16
DEFAULT_OVERLAP = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a new index is built with; None asks for the default, and of an old index for nothing."""

    model: str | None = None
    lexical_only: bool = False
    passage_tokens: int | None = None
    passage_overlap: int | None = None
    language: str | None = None
    title_weight: int | None = None


@dataclass(slots=True, kw_only=True)
class Changes:
    """What a run of adding did."""

    documents: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    encoded_texts: int = 0
    notices: list[str] = field(default_factory=list)


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
        self.store = Store(self.data / "store.sqlite")
        self.analyzer = Analyzer(manifest.language)
        self.lexical = self._open_lexical()
        self._replay()
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
        if settings is not None and not (path / "manifest.json").exists():
            progress(Step(phase="create", documents=0))
            _create(path, settings, device, budget(threads))
        manifest = read_manifest(path)
        analyzer = Analyzer(manifest.language).describe()
        if analyzer != manifest.analyzer:
            raise ClozeError(
                f"{path} was built with analyzer {manifest.analyzer}, this cloze has {analyzer}; "
                "index the corpus into a new folder"
            )
        if settings is not None:
            _check_settings(path, manifest, settings)
        index = cls(path, manifest, device=device, threads=threads)
        if settings is not None and settings.model is not None:
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
        found = _seal(encoder)
        check_encoder(
            self.folder, sealed, replace(found, precision=sealed.precision) if sealed else found
        )
        self.__dict__["encoder"] = encoder
        return encoder

    @cached_property
    def dense(self) -> "Dense":
        """The vectors, loaded at first use and brought to this index's commit."""
        dense = self._load_dense()
        if self.manifest.encoder is not None:
            dense.catch_up(self.store, self.sequence)
        return dense

    def _load_dense(self) -> "Dense":
        from indexer.dense import Dense

        dimension = self.manifest.encoder.dimension if self.manifest.encoder else 1
        dense = Dense(self.data / "dense", dimension, self.threads)
        self.notices += dense.damage
        return dense

    def refresh(self) -> None:
        """Move to the newest commit that is whole; call it between two queries."""
        if self.store.sequence == self.sequence:
            return
        self.lexical.reload()
        self.sequence = self.lexical.covered
        if "dense" in self.__dict__:
            self.dense.catch_up(self.store, self.sequence)

    def add(
        self, documents: Iterable[Document], *, sync: bool = False, progress: Progress = silent
    ) -> Changes:
        """Add or replace documents; each batch is on disk when the next one is read.

        With `sync`, documents that did not come are deleted at the end. What is unchanged is
        neither encoded nor written again.

        Raises:
            ClozeError: an id came twice; what was acknowledged before stays.
        """
        self._check_precision()
        changes = Changes()
        seen = SeenIds()
        committed = monotonic()
        try:
            for batch in _batches(_first_time(documents, seen), self._batch_factor()):
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
            check_encoder(self.folder, sealed, _seal(self.encoder))

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
                f"{self.folder} was reindexed by another process since it was opened; run this again"
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
        self.sequence = self.lexical.covered
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
            self.store.shrink()

    def _open_lexical(self) -> Lexical:
        home = self.data / "lexical"
        try:
            return Lexical(home, self.analyzer, self.manifest.title_weight)
        except DamagedIndexError as error:
            import shutil

            self.notices.append(f"{error}; rebuilding")
            shutil.rmtree(home)
            return Lexical(home, self.analyzer, self.manifest.title_weight)

    def _replay(self) -> None:
        """Apply what a crash left in the store alone; where a writer is at work, it will."""
        if self.lexical.covered == self.store.sequence:
            return
        with contextlib.suppress(ClozeError, OSError, sqlite3.OperationalError):
            with writer_lock(self.folder, wait=0):
                self.lexical.reload()
                self.lexical.catch_up(self.store, self.store.sequence)


def _first_time(documents: Iterable[Document], seen: SeenIds) -> Iterator[Document]:
    for document in documents:
        if not seen.add(document.id):
            raise ClozeError(
                f"the id {document.id!r} comes twice in this run; make ids unique, or index the "
                "second text in a later run to replace the first"
            )
        yield document


def _batches(documents: Iterator[Document], factor: int) -> Iterator[list[Document]]:
    while True:
        batch: list[Document] = []
        size = 0
        for document in islice(documents, _BATCH_DOCUMENTS * factor):
            batch.append(document)
            size += len(document.text)
            if size >= _BATCH_CHARACTERS * factor:
                break
        if not batch:
            return
        yield batch


def _seal(encoder: "Encoder") -> EncoderSeal:
    checkpoint = encoder.checkpoint
    return EncoderSeal(
        name=checkpoint.name,
        content_hash=checkpoint.content_hash,
        dimension=checkpoint.dimension,
        pooling=checkpoint.pooling,
        normalize=checkpoint.normalize,
        query_prompt=checkpoint.query_prompt,
        document_prompt=checkpoint.document_prompt,
        max_tokens=checkpoint.max_tokens,
        precision=encoder.precision,
    )


def _create(folder: Path, settings: Settings, device: str, threads: int) -> None:
    """Make the folder and seal its manifest, before anything else is in it."""
    if folder.is_dir() and any(entry.name != "lock" for entry in folder.iterdir()):
        raise ClozeError(
            f"{folder} holds files but no manifest.json, so it is not an index; name an empty or "
            "new folder"
        )
    encoder = None
    if not settings.lexical_only:
        from indexer.encoder import Encoder

        checkpoint = find_model(settings.model or DEFAULT_MODEL)
        encoder = _seal(Encoder(checkpoint, device=device, threads=threads))
    analyzer = Analyzer(settings.language or "english")
    limit = encoder.max_tokens if encoder else 0
    tokens = settings.passage_tokens or limit
    overlap = DEFAULT_OVERLAP if settings.passage_overlap is None else settings.passage_overlap
    if encoder and not (_MIN_PASSAGE_TOKENS <= tokens <= limit and 0 <= overlap <= tokens // 2):
        raise ClozeError(
            f"passages of {tokens} tokens with {overlap} overlapping don't fit {encoder.name}: "
            f"choose {_MIN_PASSAGE_TOKENS} to {limit} tokens, and an overlap of at most half"
        )
    manifest = Manifest(
        encoder=encoder,
        passage_tokens=tokens if encoder else 0,
        passage_overlap=overlap if encoder else 0,
        language=analyzer.language,
        analyzer=analyzer.describe(),
        title_weight=1 if settings.title_weight is None else settings.title_weight,
    )
    folder.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder):
        if not (folder / "manifest.json").exists():
            write_manifest(folder, manifest)


def _check_settings(folder: Path, manifest: Manifest, settings: Settings) -> None:
    if settings.lexical_only and manifest.encoder is not None:
        raise ClozeError(
            f"{folder} was built with {manifest.encoder.name}, asked for --lexical-only; leave the "
            "option out, or index into a new folder"
        )
    wanted = asdict(settings)
    del wanted["model"], wanted["lexical_only"]
    check_same(folder, manifest, wanted)
