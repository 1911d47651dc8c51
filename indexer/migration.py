"""Indexes of an older format, brought to today's where they are opened.

Format 1 had neither the sequence number of the last purge, nor sketches of near-duplicates, nor an
index from documents to their metadata. The sketches of documents that are there stay empty when it
is opened, since to read every text takes a minute at a million; the next compaction makes them.
Format 2 had no tables for token vectors; an index of it goes on without any.
"""

import errno
from dataclasses import replace
from pathlib import Path

from indexer.errors import ClozeError
from indexer.lock import writer_lock
from indexer.manifest import FORMAT, read_manifest, write_manifest
from indexer.near_duplicates import sketch
from indexer.records import TOKEN_TABLES
from indexer.store import Store

_TO_FORMAT_2 = (
    "ALTER TABLE documents ADD COLUMN sketch BLOB",
    "CREATE INDEX facet_documents ON facets (document, field)",
    # It may have been purged up to here: nobody knows.
    "INSERT INTO state SELECT 'purged', value FROM state WHERE name = 'sequence'",
    "INSERT INTO state VALUES ('sketched', 0)",
)
_CHUNK = 5000
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def upgrade(folder: Path) -> None:
    """Bring an index folder to today's format, if it is of an older one.

    The store changes in one transaction, then the manifest; killed in between, the next open goes
    on. From then on an older cloze refuses the index. Takes seconds at a million documents.

    Raises:
        ClozeError: the folder can't be written, or another process holds the lock.
        DamagedIndexError: the store can't be read.
    """
    found = read_manifest(folder).format
    if found == FORMAT:
        return
    try:
        with writer_lock(folder):
            manifest = read_manifest(folder)  # which another process may have upgraded
            store = folder / manifest.data / "store.sqlite"
            # One that was killed before it had a store gets today's.
            if store.exists():
                _upgrade_store(store)
            write_manifest(folder, replace(manifest, format=FORMAT))
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        raise ClozeError(
            f"{folder} has format {found}, this cloze format {FORMAT}, and may not be written "
            f"({error.strerror}); with the right to write it, run once: cloze info {folder}"
        ) from error


def fill_sketches(store: Store) -> int:
    """Make the sketches that documents lack, and return how many were made.

    Each chunk is a transaction of its own, so it may be stopped and run again; what other processes
    read and write meanwhile stays right, since a text's sketch depends on the text alone.
    """
    made = 0
    numbers = store.numbers(store.sequence).tolist()
    for start in range(0, len(numbers), _CHUNK):
        sketches = store.sketches(numbers[start : start + _CHUNK])
        lacking = [number for number, found in sketches.items() if found is None]
        found = {number: sketch(text) for number, _, text in store.texts(lacking)}
        new = {number: each for number, each in found.items() if each is not None}
        if new:
            store.set_sketches(new)
        made += len(new)
    store.note_sketched()
    return made


def _upgrade_store(path: Path) -> None:
    store = Store(path)
    try:
        store.upgrade(2, _TO_FORMAT_2)
        store.upgrade(3, TOKEN_TABLES)
    finally:
        store.close()
