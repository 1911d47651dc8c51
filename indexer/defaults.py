"""What an index is searched with where a query does not say: stored with it, changed in place."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from indexer.analysis import Analyzer
from indexer.errors import ClozeError
from indexer.generations import sync
from indexer.lexical import Lexical
from indexer.lock import writer_lock
from indexer.manifest import Defaults, Manifest, read_manifest, write_manifest
from indexer.store import Store

_TITLE = "data-title-"


def change_defaults(
    folder: Path,
    change: Callable[[Defaults], Defaults],
    *,
    title_weight: int | None = None,
) -> Manifest:
    """Store other search defaults, and count titles in BM25 so many times; return the manifest.

    Nothing is encoded: postings by another title weight are built from a copy of the store, beside
    the old data and under the writer's lock. The manifest's change is the one step, so a crash
    leaves all as it was or as it is to be; open readers follow between two queries.

    Raises:
        ClozeError: the weight is below 0, or another process is writing to the index.
    """
    if title_weight is not None and title_weight < 0:
        raise ClozeError(f"the title weight is {title_weight}; it must be 0 or more")
    with writer_lock(folder):
        old = read_manifest(folder)
        new = replace(old, defaults=change(old.defaults))
        if title_weight not in (None, old.title_weight):
            new = replace(new, title_weight=title_weight, data=f"{_TITLE}{title_weight}")
            _build(folder / old.data, folder / new.data, new)
        if new != old:
            write_manifest(folder, new)
        _clean(folder, old.data, new.data)
    return new


def _build(data: Path, place: Path, manifest: Manifest) -> None:
    """Copy the store as it stands, share the vectors' file, and make postings."""
    shutil.rmtree(place, ignore_errors=True)  # what a run that was killed had built
    place.mkdir()
    try:
        with (
            closing(sqlite3.connect(data / "store.sqlite")) as source,
            closing(sqlite3.connect(place / "store.sqlite")) as target,
        ):
            source.backup(target)
        (place / "dense").mkdir()
        for vectors in (data / "dense").glob("*.safetensors"):
            _share(vectors, place / "dense" / vectors.name)
        with closing(Store(place / "store.sqlite")) as store:
            analyzer = Analyzer(manifest.language)
            Lexical(place / "lexical", analyzer, manifest.title_weight).rebuild(store)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    sync(place / "dense")
    sync(place)


def _share(file: Path, place: Path) -> None:
    """Link a file that never changes; copy it where the file system has no links."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copy2(file, place)
        sync(place)


def _clean(folder: Path, replaced: str, kept: str) -> None:
    """Remove data that were replaced, now or by a run that was killed, but no other run's."""
    entries = [*folder.glob(f"{_TITLE}*")]
    if replaced != ".":
        entries.append(folder / replaced)
    if kept != ".":
        entries += [folder / "lexical", folder / "dense", *folder.glob("store.sqlite*")]
    for entry in entries:
        if entry.name != kept:
            _remove(entry)


def _remove(entry: Path) -> None:
    """Remove a file or folder; readers keep what they have open."""
    if entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
