"""An index folder as it is read: opened, at one commit, with its encoder and its vectors."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from indexer.analysis import Analyzer
from indexer.creation import Settings, check_settings, create
from indexer.errors import ClozeError
from indexer.lock import writer_lock
from indexer.manifest import (
    EncoderSeal,
    check_unchanged,
    read_manifest,
    read_stamped,
    stamp,
    with_unsealed,
    write_manifest,
)
from indexer.models import DEFAULT_MODEL
from indexer.progress import Progress, Step, silent
from indexer.structures import open_structures
from indexer.threads import budget

if TYPE_CHECKING:
    from indexer.dense import Dense
    from indexer.encoder import Encoder
    from indexer.token_vectors import TokenCoder

# Gives an index its encoder by the checkpoint's name; `sealed_encoder.open_encoder` where none is
# named.
LoadEncoder: TypeAlias = Callable[["OpenedIndex", str], "Encoder"]


class OpenedIndex:
    """The reading half of an index: one commit, until `refresh`, of store, postings and vectors."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        precision: str | None = None,
        load_encoder: LoadEncoder | None = None,
    ) -> None:
        """Open the structures of a folder that is an index; `open` is the way in."""
        self._encoder_loader = load_encoder
        self.folder = folder
        self.device = device
        self.precision = precision
        self.threads = budget(threads)
        self.notices: list[str] = []
        self._attach()

    def _attach(self) -> None:
        """Open the data that the manifest names; where that fails, nothing here changes."""
        while True:
            manifest, seen = read_stamped(self.folder)
            data = self.folder / manifest.data
            analyzer = Analyzer(manifest.language)
            store, lexical = open_structures(
                self.folder, data, analyzer, manifest.title_weight, self.notices
            )
            with contextlib.ExitStack() as undo:
                undo.callback(store.close)
                inode, purges = store.path.stat().st_ino, store.purges
                if stamp(self.folder) == seen:
                    undo.pop_all()
                    break
        self.manifest, self._seen, self.data, self.analyzer = manifest, seen, data, analyzer
        self.store, self.lexical, self._inode, self._purges = store, lexical, inode, purges
        self.sequence = lexical.covered

    @classmethod
    def open(
        cls,
        folder: str | Path,
        settings: Settings | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        precision: str | None = None,
        progress: Progress = silent,
        load_encoder: LoadEncoder | None = None,
    ) -> Self:
        """Open an index; with `settings`, create it where there is none.

        `precision` is the encoder's (fp32, bf16, int8); None goes by `CLOZE_PRECISION`, else by the
        index, and for a new one by the processor. `load_encoder` gives it where several handles
        share one.

        Raises:
            ClozeError: it is no index, or was built with other settings than those asked for.
            DamagedIndexError: what can't be derived again is damaged.
        """
        path = Path(folder)
        made = None
        if settings is not None and not (path / "manifest.json").exists():
            progress(Step(phase="create", documents=0))
            made = create(path, settings, device, budget(threads), precision)
        manifest = read_manifest(path)
        analyzer = Analyzer(manifest.language).describe()
        if analyzer != manifest.analyzer:
            raise ClozeError(
                f"{path} was built with analyzer {manifest.analyzer}, this cloze has {analyzer}; "
                "index the corpus into a new folder"
            )
        if settings is not None:
            check_settings(path, manifest, settings)
        index = cls(
            path, device=device, threads=threads, precision=precision, load_encoder=load_encoder
        )
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

    @property
    def version(self) -> str:
        """The commit that is read, as a name: its sequence number, and the data it is of."""
        data = self.manifest.data
        return f"{self.sequence}" if data == "." else f"{data}:{self.sequence}"

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
        from indexer.sealed_encoder import open_encoder

        encoder = (self._encoder_loader or open_encoder)(self, model)
        sealed = self.manifest.encoder
        if sealed is not None and sealed.name != encoder.checkpoint.name:
            self._reseal(replace(sealed, name=encoder.checkpoint.name))
        self.__dict__["encoder"] = encoder
        return encoder

    def _reseal(self, encoder: EncoderSeal) -> None:
        """Note the same checkpoint's new place or, before there are vectors, its precision."""
        with writer_lock(self.folder):
            self._check_current()
            sealed = self.manifest.encoder
            if sealed is not None and sealed.form != encoder.form and self.store.holds_passages:
                raise ClozeError(
                    f"another process has just written the first documents of {self.folder} in "
                    f"{sealed.form}, this one has {encoder.form}; run this again"
                )
            self.manifest = replace(read_manifest(self.folder), encoder=encoder)
            write_manifest(self.folder, self.manifest)
        self._seen = stamp(self.folder)

    @cached_property
    def dense(self) -> "Dense":
        """The vectors, loaded at first use and brought to this index's commit."""
        from indexer.vectors import open_vectors

        return open_vectors(self)

    @cached_property
    def token_coder(self) -> "TokenCoder":
        """What makes token vectors of the encoder's: stored with the index, or the encoder's own.

        Raises:
            ClozeError, DamagedIndexError: as `open_coder`.
        """
        from indexer.token_vectors import open_coder

        return open_coder(self)

    def refresh(self) -> None:
        """Move to the newest commit that is whole; call it between two queries.

        After another process has reindexed, or put another index in its place, that is a commit of
        the new data; while the folder is away, the commit that was read last stays. What an error
        has kept from moving is moved by the next call.
        """
        try:
            if stamp(self.folder) != self._seen:
                self._follow()
        except FileNotFoundError:
            return
        state = (self.store.sequence, self.store.purges)
        moved = state != (self.sequence, self._purges)
        if moved:
            self.lexical.reload()
            self.sequence, self._purges = self.lexical.covered, state[1]
        dense: Dense | None = self.__dict__.get("dense")
        if dense is not None and (moved or dense.covered != self.sequence):
            with self.store.snapshot():
                dense.catch_up(self.store, self.sequence)

    def _follow(self) -> None:
        """Take up the manifest that another process has put in place; the old data close last."""
        manifest, seen = read_stamped(self.folder)
        known = with_unsealed(self.manifest, manifest)
        path = self.folder / manifest.data / self.store.path.name
        store, dense = self.store, self.__dict__.get("dense")
        if manifest != known or path.stat().st_ino != self._inode:
            self._attach()
            for loaded in ("dense", "encoder", "token_coder"):
                self.__dict__.pop(loaded, None)
            store.close()
            if dense is not None:
                dense.close()
            return
        self.manifest, self._seen = known, seen
        if dense is not None:
            dense.wish = replace(dense.wish, faiss=manifest.faiss, recall=manifest.recall)

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

    def _check_current(self) -> None:
        check_unchanged(self.folder, self.manifest)
