"""An index encoded anew by another model: built beside the old one, swapped in one step."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from indexer.creation import DEFAULT_OVERLAP, DEFAULT_TOKENS, Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.index import Index
from indexer.lock import writer_lock
from indexer.manifest import (
    NAME,
    Defaults,
    Manifest,
    check_unchanged,
    read_manifest,
    with_unsealed,
    write_manifest,
)
from indexer.models import find_model
from indexer.progress import Progress, silent
from indexer.runtime.precision import is_automatic, resolve


class Reindexing:
    """One run of reindexing; the folder it builds in is named by the model, so a rerun goes on."""

    def __init__(
        self,
        folder: str | Path,
        settings: Settings,
        *,
        device: str = "cpu",
        threads: int | None = None,
        precision: str | None = None,
    ) -> None:
        """Prepare to encode an index by the model and passage rule of `settings`."""
        self.folder = Path(folder)
        self.settings = settings
        self.device = device
        self.threads = threads
        self.precision = precision
        self.notices: list[str] = []
        self._read = 0
        self._total = 0

    def position(self) -> float | None:
        """Return the share of the documents that have been read."""
        return self._read / self._total if self._total else None

    def run(self, progress: Progress = silent) -> int:
        """Build, swap and remove the old data; return the number of documents.

        Documents that change meanwhile are taken over too: the swap happens under the writer's
        lock, when the new data hold what the old ones do.
        """
        old = Index.open(self.folder, device=self.device, threads=self.threads)
        wanted = self._settings(old)
        content = find_model(wanted.model or "").content_hash
        # The name holds all that is new, so that a rerun goes on only with what it would build.
        parts = [content[:12], wanted.passage_tokens, wanted.passage_overlap, wanted.title_weight]
        parts += ["tokens"] if wanted.token_vectors else []
        if not is_automatic(self.precision):
            parts.append(resolve(self.precision, self.device))
        name = "-".join(map(str, ("data", *parts)))
        if old.manifest.data == name:
            name += "-again"
        place = self.folder / name
        _follow(place, old.manifest)
        with Index.open(
            place,
            wanted,
            device=self.device,
            threads=self.threads,
            precision=self.precision,
            progress=progress,
        ) as new:
            while True:
                copied = old.store.sequence
                self._read, self._total = 0, old.lexical.count
                new.add(self._documents(old), sync=True, progress=progress)
                with writer_lock(self.folder):
                    found = check_unchanged(self.folder, old.manifest)
                    if old.store.sequence == copied:
                        unsealed = replace(found, defaults=Defaults())
                        manifest = replace(new.manifest, data=name)
                        write_manifest(self.folder, with_unsealed(manifest, unsealed))
                        break
            count = new.lexical.count
            self.notices += new.notices
        if found.defaults != Defaults():
            self.notices.append("the search defaults were the old model's: back to the built-in")
        old.close()
        _remove_data(self.folder, keep=name)
        return count

    def _settings(self, old: Index) -> Settings:
        """Fill in what was not asked for from the old index; a new model may read less."""
        model = find_model(self.settings.model or "")
        self._check_fits(old.manifest, model.dimension)
        limit = model.max_tokens
        tokens, overlap = self.settings.passage_tokens, self.settings.passage_overlap
        if tokens is None:
            tokens = min(old.manifest.passage_tokens or DEFAULT_TOKENS, limit)
        if overlap is None:
            has_rule = old.manifest.encoder is not None
            overlap = old.manifest.passage_overlap if has_rule else DEFAULT_OVERLAP
            overlap = min(overlap, tokens // 2)
        return replace(
            self.settings,
            passage_tokens=tokens,
            passage_overlap=overlap,
            language=old.manifest.language,
            title_weight=old.manifest.title_weight,
            faiss=old.manifest.faiss,
            recall=old.manifest.recall,
            token_vectors=self._wants_tokens(old.manifest),
        )

    def _wants_tokens(self, manifest: Manifest) -> bool:
        asked = self.settings.token_vectors
        return manifest.token_vectors is not None if asked is None else asked

    def _check_fits(self, manifest: Manifest, dimension: int) -> None:
        """Check that vectors of the new model can have an index of the old kind."""
        if manifest.faiss is None:
            return
        from indexer.construction import check_wish

        try:
            check_wish(manifest.faiss, None, dimension)
        except ClozeError:
            raise ClozeError(
                f"{self.folder} has faiss {manifest.faiss}, which does not go with the "
                f"{dimension} dimensions of {self.settings.model}; choose another first, e.g.: "
                f"cloze compact {self.folder} --faiss auto"
            ) from None

    def _documents(self, old: Index) -> Iterator[Document]:
        for _, document in old.store.all_live():
            self._read += 1
            yield document


def _follow(place: Path, manifest: Manifest) -> None:
    """Give data that a killed run has begun what may have changed since."""
    if (place / NAME).exists():
        begun = read_manifest(place)
        write_manifest(place, with_unsealed(begun, replace(manifest, defaults=begun.defaults)))


def _remove_data(folder: Path, keep: str) -> None:
    """Remove our data but those in use; readers keep what they have open."""
    for entry in folder.iterdir():
        if entry.name == keep or not _is_ours(entry.name):
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _is_ours(name: str) -> bool:
    return name in ("lexical", "dense") or name.startswith(("store.sqlite", "data-"))
