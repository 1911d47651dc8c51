"""The store and the postings of an index folder, opened together and brought to one state."""

import contextlib
import sqlite3
from pathlib import Path

from indexer import generations
from indexer.analysis import Analyzer
from indexer.errors import ClozeError, DamagedIndexError
from indexer.frozen import frozen_postings, is_frozen
from indexer.lexical import Lexical
from indexer.lock import writer_lock
from indexer.migration import upgrade
from indexer.store import Store

# What the first generation of a new home is called.
_FIRST = "000001"


def open_structures(
    folder: Path, data: Path, analyzer: Analyzer, title_weight: int, notices: list[str]
) -> tuple[Store, Lexical]:
    """Open store and postings, and apply to the postings what a crash left in the store alone.

    Damaged postings are derived again, with a notice; in a folder that can't be written they are
    read as they are.

    Raises:
        DamagedIndexError: the store can't be read, or ends before the postings do.
    """
    upgrade(folder)
    home = data / "lexical"
    if is_frozen(folder) and generations.current(home):
        return _open_frozen(folder, data, analyzer, title_weight, notices)
    # What a new index lacks is made by one process, the postings last.
    with contextlib.nullcontext() if generations.current(home) else writer_lock(folder):
        store = Store(data / "store.sqlite")
        try:
            lexical = Lexical(home, analyzer, title_weight)
        except DamagedIndexError:
            lexical = None
    if lexical is None:
        lexical = _derive(folder, home, store, analyzer, title_weight, notices)
    _replay(folder, store, lexical)
    return store, lexical


def _open_frozen(
    folder: Path, data: Path, analyzer: Analyzer, title_weight: int, notices: list[str]
) -> tuple[Store, Lexical]:
    store = Store(data / "store.sqlite")
    with frozen_postings(data / "lexical") as place:
        lexical = Lexical(place, analyzer, title_weight)
    lexical.home = data / "lexical"  # where a write fails, and says so
    lexical.frozen = True
    _check_covered(folder, store, lexical)
    notices.append(f"{folder} can't be written: it is searched as it stands")
    return store, lexical


def _derive(
    folder: Path,
    home: Path,
    store: Store,
    analyzer: Analyzer,
    title_weight: int,
    notices: list[str],
) -> Lexical:
    """Replace damaged postings, unless another process has done so by the time of the lock."""
    with writer_lock(folder):
        try:
            return Lexical(home, analyzer, title_weight)
        except DamagedIndexError as error:
            notices.append(f"{error}; rebuilding")
        # Aside, so that nobody who opens the index meanwhile takes what is half made for all.
        with generations.scratch(home) as scratch:
            made = Lexical(scratch, analyzer, title_weight)
            made.catch_up(store, store.sequence)
            generations.publish(scratch / _FIRST, home)
        generations.prune(home)
        return Lexical(home, analyzer, title_weight)


def _replay(folder: Path, store: Store, lexical: Lexical) -> None:
    """Apply what a crash left in the store alone; where a writer is at work, it will."""
    _check_covered(folder, store, lexical)
    if lexical.covered == store.sequence:
        return
    with contextlib.suppress(ClozeError, OSError, sqlite3.OperationalError):
        with writer_lock(folder, wait=0):
            lexical.reload()
            lexical.catch_up(store, store.sequence)


def _check_covered(folder: Path, store: Store, lexical: Lexical) -> None:
    covered, sequence = lexical.covered, store.sequence
    if covered > sequence:
        raise DamagedIndexError(
            f"{store.path} ends at transaction {sequence}, the postings at {covered}: the store "
            f"was lost or is an older copy; restore it, or delete {folder} and index the corpus "
            "again"
        )
