"""The ids that one run of `index` has met, in a temporary file so that memory stays flat."""

import sqlite3


class SeenIds:
    """A set of ids that grows on disk."""

    def __init__(self) -> None:
        """Start empty; the file goes when the set does."""
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def add(self, document: str) -> bool:
        """Note an id; false when it was there before."""
        return self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", [document]).rowcount == 1

    def __contains__(self, document: str) -> bool:
        """Tell whether the id has been met."""
        found = self._db.execute("SELECT 1 FROM seen WHERE id = ?", [document]).fetchone()
        return found is not None
