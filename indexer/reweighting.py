"""Another weight for titles in BM25: new postings from the same store, swapped in one step."""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from indexer.analysis import Analyzer
from indexer.errors import ClozeError
from indexer.generations import sync
from indexer.lexical import Lexical
from indexer.lock import writer_lock
from indexer.manifest import read_manifest, write_manifest
from indexer.reindexing import remove_data
from indexer.store import Store


def set_title_weight(folder: Path, weight: int) -> None:
    """Rebuild the postings of an index with titles counted `weight` times; nothing is encoded.

    Everything is built beside the old data under the writer's lock, and the manifest's change is
    the swap, so a crash leaves the old index or the new one.

    Raises:
        ClozeError: the weight is below 0, or another process is writing to the index.
    """
    if weight < 0:
        raise ClozeError(f"the title weight is {weight}; it must be 0 or more")
    with writer_lock(folder):
        manifest = read_manifest(folder)
        if manifest.title_weight == weight:
            return
        name = f"data-title-{weight}"
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)  # what a run that was killed had built
        _copy(folder / manifest.data, place)
        with closing(Store(place / "store.sqlite")) as store:
            lexical = Lexical(place / "lexical", Analyzer(manifest.language), weight)
            lexical.rebuild(store)
        write_manifest(folder, replace(manifest, title_weight=weight, data=name))
        remove_data(folder, keep=name)


def _copy(data: Path, place: Path) -> None:
    """Copy the store as it stands, and share the vectors' file, which never changes."""
    place.mkdir()
    with (
        closing(sqlite3.connect(data / "store.sqlite")) as source,
        closing(sqlite3.connect(place / "store.sqlite")) as target,
    ):
        source.backup(target)
    (place / "dense").mkdir()
    for shard in (data / "dense").glob("*.faiss"):
        os.link(shard, place / "dense" / shard.name)
    sync(place / "dense")
    sync(place)
