"""The documents of record in SQLite: what is in here is in the index, all else is derived.

Every write is one transaction with a sequence number of its own. A document that is deleted or
replaced keeps its rows, marked with the sequence number that ended it, until compaction: so a
reader whose BM25 postings stand at an earlier number still sees one whole commit.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from indexer.errors import DamagedIndexError
from indexer.filters import facets
from indexer.frozen import connect_frozen, is_frozen
from indexer.records import PASSAGE_BITS, SCHEMA, Entry
from indexer.stored import StoredRecords
from indexer.stored_tokens import insert_codes

_json = json.JSONEncoder(ensure_ascii=False).encode


class Store(StoredRecords):
    """One SQLite file; a connection of one thread."""

    def __init__(self, path: Path) -> None:
        """Open the store, creating its tables in a new file."""
        self.path = path
        if is_frozen(path.parent):
            self._db = connect_frozen(path)
            return
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            if not self._db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                with self.transaction():
                    for statement in SCHEMA.split(";"):
                        self._db.execute(statement)
        except sqlite3.OperationalError:
            raise  # locked, full or not to be opened: the file may be sound
        except sqlite3.DatabaseError as error:
            raise DamagedIndexError(
                f"{path} can't be read as a database ({error}); restore it from a copy, or delete "
                "the index folder and index the corpus again"
            ) from error

    def ids(self, numbers: Sequence[int]) -> dict[int, str]:
        """Return the user's ids of document numbers that are there.

        Raises:
            DamagedIndexError: one is not; a part of the file is lost.
        """
        found = super().ids(numbers)
        if len(found) < len(numbers):
            lost = next(number for number in numbers if number not in found)
            raise DamagedIndexError(
                f"{self.path} has no document {lost}, which the postings or vectors have; see: "
                f"cloze verify {self.path.parent}"
            )
        return found

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all or nothing; on return it is on disk."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise

    def upgrade(self, version: int, statements: Sequence[str]) -> None:
        """Change tables of an older version to this one, in one transaction."""
        with self.transaction():
            if self._db.execute("PRAGMA user_version").fetchone()[0] < version:
                for statement in statements:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {version}")

    def write(self, entries: Sequence[Entry]) -> int:
        """Add documents, replacing those of the same ids, and return the new sequence number.

        Call it within a transaction.
        """
        sequence = self._advance()
        self._end([entry.document.id for entry in entries], sequence)
        self._insert(list(enumerate(entries, self._highest() + 1)), sequence)
        return sequence

    def delete(self, ids: Sequence[str]) -> int:
        """Delete the documents of these ids and return how many there were.

        Call it within a transaction; where there are none of them, it leaves no trace.
        """
        found = self.live(ids)
        return self._end(found, self._advance()) if found else 0

    def _advance(self) -> int:
        self._db.execute("UPDATE state SET value = value + 1 WHERE name = 'sequence'")
        return self.sequence

    def _end(self, ids: Iterable[str], sequence: int) -> int:
        cursor = self._db.executemany(
            "UPDATE documents SET deleted = ? WHERE id = ? AND deleted IS NULL",
            ((sequence, document) for document in ids),
        )
        return cursor.rowcount

    def _highest(self) -> int:
        """Return the highest number that a document ever had."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'documents'")
        return int((found.fetchone() or [0])[0])

    def _insert(self, entries: Sequence[tuple[int, Entry]], sequence: int) -> None:
        """Write documents under their numbers, table by table."""
        self._db.executemany(
            "INSERT INTO documents (number, id, added, text_hash, metadata_hash, body_hash, "
            "empty, tokens, dropped, sketch) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    number,
                    entry.document.id,
                    sequence,
                    entry.text_hash,
                    entry.metadata_hash,
                    # Of the text alone, whatever the title, to count texts that repeat.
                    hashlib.blake2b(entry.document.text.encode(), digest_size=16).digest(),
                    not entry.document.text.strip(),
                    entry.tokens,
                    entry.dropped,
                    entry.sketch,
                )
                for number, entry in entries
            ),
        )
        self._db.executemany(
            "INSERT INTO contents VALUES (?, ?, ?, ?)",
            (
                (number, each.document.title, each.document.text, _json(each.document.metadata))
                for number, each in entries
            ),
        )
        self._db.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?)",
            (
                (number << PASSAGE_BITS | place, p.start, p.end, p.key, p.vector)
                for number, entry in entries
                for place, p in enumerate(entry.passages)
            ),
        )
        insert_codes(
            self._db,
            (
                (number << PASSAGE_BITS | place, p.key, p.codes)
                for number, entry in entries
                for place, p in enumerate(entry.passages)
                if p.codes is not None
            ),
        )
        numbers = cache(self._field_number)
        self._db.executemany(
            "INSERT INTO facets VALUES (?, ?, ?, ?)",
            (
                (numbers(name), kind, value, number)
                for number, entry in entries
                for name, kind, value in facets(entry.document.metadata)
            ),
        )

    def _field_number(self, name: str) -> int:
        found = self._db.execute("SELECT field FROM fields WHERE name = ?", [name]).fetchone()
        if found:
            return int(found[0])
        field = self._db.execute("INSERT INTO fields (name) VALUES (?)", [name]).lastrowid
        return int(field or 0)

    def set_sketches(self, sketches: Mapping[int, bytes]) -> None:
        """Give documents their near-duplicate sketches, by number, in one transaction."""
        with self.transaction():
            self._db.executemany(
                "UPDATE documents SET sketch = ? WHERE number = ?",
                ((sketch, number) for number, sketch in sketches.items()),
            )

    def purge(self, upto: int) -> None:
        """Remove the rows of documents dead at a sequence number for good, in one transaction."""
        with self.transaction():
            dead = f"SELECT number FROM documents WHERE deleted <= {int(upto)}"
            self._db.execute(f"DELETE FROM contents WHERE number IN ({dead})")
            # By ranges: SQLite would read every passage to see which are of a document.
            ranges = [
                (number << PASSAGE_BITS, (number + 1) << PASSAGE_BITS)
                for (number,) in self._db.execute(dead)
            ]
            for table in ("passages", "token_vectors"):
                self._db.executemany(
                    f"DELETE FROM {table} WHERE passage >= ? AND passage < ?", ranges
                )
            self._db.execute(f"DELETE FROM facets WHERE document IN ({dead})")
            self._db.execute("DELETE FROM documents WHERE deleted <= ?", [upto])
            self._db.execute("DELETE FROM fields WHERE field NOT IN (SELECT field FROM facets)")
            self._db.execute("UPDATE state SET value = value + 1 WHERE name = 'purges'")
            self._db.execute("UPDATE state SET value = max(value, ?) WHERE name = 'purged'", [upto])

    def note_sketched(self) -> None:
        """Note that every document has had its sketch made."""
        with self.transaction():
            self._db.execute("UPDATE state SET value = 1 WHERE name = 'sketched'")

    def shrink(self) -> None:
        """Give free pages back to the file system and fold the log into the file."""
        self._db.execute("VACUUM")
        self.fold()

    def fold(self) -> None:
        """Move the write-ahead log into the database file, as far as readers allow at once."""
        for pragma in ("busy_timeout = 0", "wal_checkpoint(TRUNCATE)", "busy_timeout = 30000"):
            self._db.execute(f"PRAGMA {pragma}")

    def damage(self) -> list[str]:
        """Return what SQLite's own check finds wrong, one line each."""
        try:
            lines = [line for (line,) in self._db.execute("PRAGMA integrity_check(20)")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if lines == ["ok"] else lines
