"""The documents of record in SQLite: what is in here is in the index, all else is derived.

Every write is one transaction with a sequence number of its own. A document that is deleted or
replaced keeps its rows, marked with the sequence number that ended it, until compaction: so a
reader whose BM25 postings stand at an earlier number still sees one whole commit.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.coverage import coverage, digest
from indexer.documents import Document
from indexer.errors import DamagedIndexError
from indexer.filters import Filter, compile, facets
from indexer.records import PASSAGE_BITS, SCHEMA, Change, Entry, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHUNK = 500

_VISIBLE = "added <= {0} AND (deleted IS NULL OR deleted > {0})"


class Store:
    """One SQLite file; a connection of one thread."""

    def __init__(self, path: Path) -> None:
        """Open the store, creating its tables in a new file."""
        self.path = path
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

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read one state of the store, whatever is written meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.rollback()

    @property
    def sequence(self) -> int:
        """The number of the last transaction."""
        return self._state("sequence")

    @property
    def purges(self) -> int:
        """How many times dead rows have been purged."""
        return self._state("purges")

    def _state(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM state WHERE name = ?", [name]).fetchone()
        return int(row[0])

    def write(self, entries: Sequence[Entry]) -> int:
        """Add documents, replacing those of the same ids, and return the new sequence number.

        Call it within a transaction.
        """
        sequence = self._advance()
        self._end([entry.document.id for entry in entries], sequence)
        for entry in entries:
            self._insert(entry, sequence)
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

    def _insert(self, entry: Entry, sequence: int) -> None:
        document = entry.document
        number = self._db.execute(
            "INSERT INTO documents (id, added, text_hash, metadata_hash, body_hash, "
            "empty, tokens, dropped) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                document.id,
                sequence,
                entry.text_hash,
                entry.metadata_hash,
                # Of the text alone, whatever the title, to count texts that repeat.
                hashlib.blake2b(document.text.encode(), digest_size=16).digest(),
                not document.text.strip(),
                entry.tokens,
                entry.dropped,
            ],
        ).lastrowid
        if number is None:
            raise AssertionError("SQLite gave an inserted document no number")
        metadata = json.dumps(document.metadata, ensure_ascii=False)
        self._db.execute(
            "INSERT INTO contents VALUES (?, ?, ?, ?)",
            [number, document.title, document.text, metadata],
        )
        self._db.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?)",
            (
                (number << PASSAGE_BITS | place, p.start, p.end, p.key, p.vector)
                for place, p in enumerate(entry.passages)
            ),
        )
        for name, kind, value in facets(document.metadata):
            self._db.execute(
                "INSERT INTO facets VALUES (?, ?, ?, ?)", [self._field(name), kind, value, number]
            )

    def _field(self, name: str) -> int:
        found = self._db.execute("SELECT field FROM fields WHERE name = ?", [name]).fetchone()
        if found:
            return int(found[0])
        field = self._db.execute("INSERT INTO fields (name) VALUES (?)", [name]).lastrowid
        return int(field or 0)

    def live(self, ids: Sequence[str]) -> dict[str, Row]:
        """Return what is stored now of these ids."""
        found = {}
        for chunk in _chunks(ids):
            for document, number, text_hash, metadata_hash in self._db.execute(
                "SELECT id, number, text_hash, metadata_hash FROM documents "
                f"WHERE deleted IS NULL AND id IN ({_marks(chunk)})",
                chunk,
            ):
                found[document] = Row(
                    number=number, text_hash=text_hash, metadata_hash=metadata_hash
                )
        return found

    def vectors_of(self, number: int) -> dict[bytes, bytes]:
        """Return a document's vectors by the hash of what the encoder read."""
        return dict(
            self._db.execute(
                'SELECT "key", vector FROM passages WHERE passage >= ? AND passage < ?',
                [number << PASSAGE_BITS, (number + 1) << PASSAGE_BITS],
            )
        )

    def changes(self, after: int, upto: int) -> Change:
        """Return what became visible or invisible after one sequence number, up to another."""
        added = self._db.execute(
            "SELECT number FROM documents WHERE added > ? AND "
            f"{_VISIBLE.format('?')} ORDER BY number",
            [after, upto, upto],
        )
        deleted = self._db.execute(
            "SELECT number FROM documents WHERE added <= ? AND deleted > ? AND deleted <= ? "
            "ORDER BY number",
            [after, after, upto],
        )
        return Change(added=[n for (n,) in added], deleted=[n for (n,) in deleted])

    def numbers(self, upto: int) -> "NDArray[np.int64]":
        """Return the numbers of all documents visible at a sequence number, ascending."""
        return self._numbers(self._universe(upto) + " ORDER BY number", [])

    def last(self, upto: int) -> list[int]:
        """Return the highest number visible at a sequence number, if there is any."""
        row = self._db.execute(f"SELECT max(number) FROM ({self._universe(upto)})").fetchone()
        return [] if row[0] is None else [int(row[0])]

    def matching(self, condition: Filter, upto: int) -> "NDArray[np.int64]":
        """Return the numbers of the visible documents that a filter passes, ascending."""
        query, values = compile(condition, self.fields(), self._universe(upto))
        return self._numbers(f"SELECT * FROM ({query}) ORDER BY 1", values)

    def _universe(self, upto: int) -> str:
        return f"SELECT number FROM documents WHERE {_VISIBLE.format(int(upto))}"

    def _numbers(self, query: str, values: Sequence[Any]) -> "NDArray[np.int64]":
        import numpy as np

        return np.fromiter((n for (n,) in self._db.execute(query, values)), dtype=np.int64)

    def fields(self) -> dict[str, int]:
        """Return the metadata fields that any document has or had, with their numbers."""
        return dict(self._db.execute("SELECT name, field FROM fields"))

    def ids(self, numbers: Sequence[int]) -> dict[int, str]:
        """Return the user's ids of document numbers."""
        found: dict[int, str] = {}
        for chunk in _chunks(numbers):
            found.update(
                self._db.execute(
                    f"SELECT number, id FROM documents WHERE number IN ({_marks(chunk)})", chunk
                )
            )
        return found

    def documents(self, numbers: Sequence[int]) -> dict[int, Document]:
        """Return documents by their numbers; those that are purged are absent."""
        found = {}
        for chunk in _chunks(numbers):
            for number, document, title, text, metadata in self._db.execute(
                "SELECT number, id, title, text, metadata FROM documents JOIN contents "
                f"USING (number) WHERE number IN ({_marks(chunk)})",
                chunk,
            ):
                found[number] = Document(
                    id=document, title=title, text=text, metadata=json.loads(metadata)
                )
        return found

    def windows(self, passages: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return the code points [start, end) of passages, by their numbers."""
        found = {}
        for chunk in _chunks(passages):
            for passage, start, end in self._db.execute(
                f'SELECT passage, "start", "end" FROM passages WHERE passage IN ({_marks(chunk)})',
                chunk,
            ):
                found[passage] = (start, end)
        return found

    def vectors(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Stream (passage, float16 vector) of every document numbered above `after`."""
        yield from self._db.execute(
            "SELECT passage, vector FROM passages WHERE passage >= ? ORDER BY passage",
            [(after + 1) << PASSAGE_BITS],
        )

    def all_live(self) -> Iterator[tuple[int, Document]]:
        """Stream every live document with its number, in the order they were added."""
        rows = self._db.execute(
            "SELECT number, id, title, text, metadata FROM documents JOIN contents USING (number) "
            "WHERE deleted IS NULL ORDER BY number"
        )
        for number, document, title, text, metadata in rows:
            yield (
                number,
                Document(id=document, title=title, text=text, metadata=json.loads(metadata)),
            )

    def live_ids(self) -> Iterator[str]:
        """Stream the ids of all live documents."""
        for (document,) in self._db.execute("SELECT id FROM documents WHERE deleted IS NULL"):
            yield document

    def hashes(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Stream (number, text hash, metadata hash) of all live documents."""
        yield from self._db.execute(
            "SELECT number, text_hash, metadata_hash FROM documents WHERE deleted IS NULL "
            "ORDER BY number"
        )

    def counts(self) -> dict[str, int]:
        """Count what `coverage` counts."""
        return coverage(self._db)

    def digest(self) -> str:
        """Return a sha256 over the ids and texts of all live documents."""
        return digest(self._db)

    def dead(self) -> int:
        """Count the documents that are deleted or replaced but not purged."""
        row = self._db.execute("SELECT count(*) FROM documents WHERE deleted IS NOT NULL")
        return int(row.fetchone()[0])

    def purge(self) -> None:
        """Remove the rows of dead documents for good, in one transaction."""
        with self.transaction():
            dead = "SELECT number FROM documents WHERE deleted IS NOT NULL"
            self._db.execute(f"DELETE FROM contents WHERE number IN ({dead})")
            self._db.execute(f"DELETE FROM passages WHERE passage >> {PASSAGE_BITS} IN ({dead})")
            self._db.execute(f"DELETE FROM facets WHERE document IN ({dead})")
            self._db.execute("DELETE FROM documents WHERE deleted IS NOT NULL")
            self._db.execute("DELETE FROM fields WHERE field NOT IN (SELECT field FROM facets)")
            self._db.execute("UPDATE state SET value = value + 1 WHERE name = 'purges'")

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


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
