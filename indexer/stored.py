"""The reading half of the store: documents, passages, vectors and metadata, by number or id."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from indexer.coverage import coverage, digest
from indexer.documents import Document
from indexer.filters import Filter, compile
from indexer.records import PASSAGE_BITS, Change, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHUNK = 500

_VISIBLE = "added <= {0} AND (deleted IS NULL OR deleted > {0})"


class StoredRecords:
    """What a connection to the store's file can read."""

    _db: sqlite3.Connection

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

    @property
    def purged(self) -> int:
        """The sequence number up to which dead rows have been purged."""
        return self._state("purged")

    def _state(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM state WHERE name = ?", [name]).fetchone()
        return int(row[0])

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

    def sketches(self, numbers: Sequence[int]) -> dict[int, bytes | None]:
        """Return the near-duplicate sketches of documents, by number; None for a short text."""
        found: dict[int, bytes | None] = {}
        for chunk in _chunks(numbers):
            found.update(
                self._db.execute(
                    f"SELECT number, sketch FROM documents WHERE number IN ({_marks(chunk)})", chunk
                )
            )
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


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
