"""The store of one commit, read while others write, and copied into a file of its own."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from indexer.errors import DamagedIndexError

_PAGES = 1000
# What SQLite may put beside a database.
_BESIDE = ("", "-journal", "-wal", "-shm")


class StoreSnapshot:
    """A connection that sees the store as it was when this was made."""

    def __init__(self, path: Path) -> None:
        """Open the store and hold its newest commit; writers go on, their log grows until `close`.

        Raises:
            DamagedIndexError: SQLite can't read it.
        """
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        try:
            self._db.execute("BEGIN")
            (self.sequence,) = self._one("SELECT value FROM state WHERE name = 'sequence'")
            (self.documents,) = self._one("SELECT count(*) FROM documents WHERE deleted IS NULL")
            (pages,), (self._page,) = self._one("PRAGMA page_count"), self._one("PRAGMA page_size")
        except sqlite3.OperationalError:
            self._db.close()
            raise
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise self._damaged(str(error)) from error
        self.bytes = pages * self._page

    def _one(self, query: str) -> tuple[int, ...]:
        found: tuple[int, ...] = self._db.execute(query).fetchone()
        return found

    def _damaged(self, what: str) -> DamagedIndexError:
        return DamagedIndexError(
            f"{self.path} is damaged ({what}), so it was not copied; see: cloze verify "
            f"{self.path.parent}"
        )

    @contextlib.contextmanager
    def copied(self, target: Path, tell: Callable[[int], None]) -> Iterator[Path]:
        """Write the snapshot to a file that is removed at the end; `tell` hears of bytes done.

        What lies there under its name (see `leftovers`) is replaced.

        Raises:
            DamagedIndexError: SQLite finds the copy not sound.
            OSError: it can't be written.
        """
        try:
            _remove(target)
            self._copy(target, tell)
            yield target
        finally:
            _remove(target)

    def _copy(self, target: Path, tell: Callable[[int], None]) -> None:
        copy = sqlite3.connect(target, isolation_level=None)
        with contextlib.closing(copy):
            for pragma in ("journal_mode = OFF", "synchronous = OFF"):  # it is not kept
                copy.execute(f"PRAGMA {pragma}")
            try:
                self._db.backup(
                    copy,
                    pages=_PAGES,
                    progress=lambda _, left, total: tell((total - left) * self._page),
                )
                found = [line for (line,) in copy.execute("PRAGMA quick_check(1)")]
            except sqlite3.OperationalError as error:
                raise OSError(None, f"could not be written: {error}", str(target)) from error
            except sqlite3.DatabaseError as error:
                raise self._damaged(str(error)) from error
        if found != ["ok"]:
            raise self._damaged(found[0].splitlines()[-1])

    def close(self) -> None:
        """Let the commit go."""
        self._db.close()


def leftovers(database: Path) -> list[Path]:
    """Return the files that making a copy of this name would replace."""
    paths = (database.with_name(database.name + end) for end in _BESIDE)
    return [path for path in paths if os.path.lexists(path)]


def _remove(database: Path) -> None:
    for path in leftovers(database):
        path.unlink(missing_ok=True)
