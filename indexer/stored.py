"""The reading half of the store: documents, passages, vectors and metadata, by number or id."""

import json
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from indexer.coverage import coverage, digest
from indexer.documents import Document
from indexer.records import PASSAGE_BITS, Change, Row
from indexer.selections import VISIBLE
from indexer.stored_tokens import StoredTokens

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """A document as its bytes lie there, None where they are lost, with the hashes written with it.

    `astray`: it is live, but the index of ids does not give its number for its id.
    """

    number: int
    id: bytes | None
    title: bytes | None
    text: bytes | None
    metadata: bytes | None
    text_hash: bytes
    metadata_hash: bytes
    astray: bool


class StoredRecords(StoredTokens):
    """What a connection to the store's file can read."""

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read one state of the store, whatever is written meanwhile; nested, the outer one."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.rollback()

    def live(self, ids: Sequence[str], upto: int | None = None) -> dict[str, Row]:
        """Return what is stored of these ids now, or as of the sequence number `upto`.

        A document that has died since is there until it is purged; read within `Index.reading`.
        """
        state = "deleted IS NULL" if upto is None else VISIBLE.format(int(upto))
        found = {}
        for chunk in _chunks(ids):
            for document, number, text_hash, metadata_hash in self._db.execute(
                "SELECT id, number, text_hash, metadata_hash FROM documents "
                f"WHERE {state} AND id IN ({_marks(chunk)})",
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
            f"{VISIBLE.format('?')} ORDER BY number",
            [after, upto, upto],
        )
        deleted = self._db.execute(
            "SELECT number FROM documents WHERE added <= ? AND deleted > ? AND deleted <= ? "
            "ORDER BY number",
            [after, after, upto],
        )
        return Change(added=[n for (n,) in added], deleted=[n for (n,) in deleted])

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

    def kept(self, numbers: Sequence[int]) -> dict[int, Kept]:
        """Return all that tells whether documents are what was written, by their numbers."""
        found = {}
        for chunk in _chunks(numbers):
            # As bytes, because SQLite does not say in which row there is no UTF-8.
            for row in self._db.execute(
                "SELECT number, CAST(id AS BLOB), CAST(title AS BLOB), CAST(text AS BLOB), "
                "CAST(metadata AS BLOB), text_hash, metadata_hash, deleted IS NULL AND NOT EXISTS ("
                "SELECT 1 FROM documents AS listed INDEXED BY live WHERE listed.id = documents.id "
                "AND listed.number = documents.number AND listed.deleted IS NULL) "
                f"FROM documents LEFT JOIN contents USING (number) WHERE number IN "
                f"({_marks(chunk)})",
                chunk,
            ):
                found[row[0]] = Kept(*row)
        return found

    def texts(self, numbers: Sequence[int]) -> Generator[tuple[int, str, str], None, None]:
        """Stream (number, title, text) of documents that are there, numbers ascending."""
        for chunk in _chunks(numbers):
            rows = self._db.execute(
                "SELECT number, title, text FROM contents "
                f"WHERE number IN ({_marks(chunk)}) ORDER BY number",
                chunk,
            )
            # A generator that "yields from" a cursor closes it at its own end, which may come
            # after that of the connection, when SQLite refuses it.
            for row in rows:  # noqa: UP028
                yield row

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
        return self._db.execute(
            "SELECT passage, vector FROM passages WHERE passage >= ? ORDER BY passage",
            [(after + 1) << PASSAGE_BITS],
        )

    def live_texts(self) -> sqlite3.Cursor:
        """Stream (number, title, text) of every live document, in the order they were added."""
        return self._db.execute(
            "SELECT number, title, text FROM documents JOIN contents USING (number) "
            "WHERE deleted IS NULL ORDER BY number"
        )

    def all_live(self) -> Generator[tuple[int, Document], None, None]:
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

    def live_ids(self) -> Generator[str, None, None]:
        """Stream the ids of all live documents."""
        for (document,) in self._db.execute("SELECT id FROM documents WHERE deleted IS NULL"):
            yield document

    def hashes(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Stream (number, text hash, metadata hash) of all live documents."""
        return self._db.execute(
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
