"""The token vectors of passages as the store keeps them: codes, each with a checksum."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from indexer.errors import ClozeError
from indexer.records import PASSAGE_BITS
from indexer.selections import Selections

_CHUNK = 500
_CODES = (
    'SELECT token_vectors.passage, "key", codes, checksum FROM token_vectors '
    "JOIN passages USING (passage)"
)


@dataclass(frozen=True, slots=True)
class KeptCodes:
    """A passage's codes, with the key of its text, and the checksum of both that was written."""

    key: bytes
    codes: bytes
    checksum: bytes

    @property
    def intact(self) -> bool:
        """Whether they are what was written, and of this text."""
        both = (self.key, self.codes)
        return all(isinstance(each, bytes) for each in both) and checksum(*both) == self.checksum


@dataclass(frozen=True, slots=True)
class KeptProjection:
    """The matrix of all codes, float32 [hidden, dimension] by rows, and the sha256 as written."""

    matrix: bytes
    sha256: bytes

    @property
    def intact(self) -> bool:
        """Whether it is what was written."""
        is_bytes = isinstance(self.matrix, bytes)
        return is_bytes and hashlib.sha256(self.matrix).digest() == self.sha256


def checksum(key: bytes, codes: bytes) -> bytes:
    """Return the checksum of a passage's codes together with the key of its text."""
    return hashlib.blake2b(key + codes, digest_size=8).digest()


class StoredTokens(Selections):
    """What a connection to the store's file can read and write of token vectors."""

    def token_codes(self, passages: Sequence[int]) -> dict[int, KeptCodes]:
        """Return the codes of those passages that have any, by their numbers."""
        found = {}
        for start in range(0, len(passages), _CHUNK):
            chunk = passages[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            for passage, *kept in self._db.execute(f"{_CODES} WHERE passage IN ({marks})", chunk):
                found[passage] = KeptCodes(*kept)
        return found

    def intact_codes_of(self, number: int) -> dict[bytes, bytes]:
        """Return a document's codes by the key of their text; without those that are damaged."""
        rows = self._db.execute(
            f"{_CODES} WHERE passage >= ? AND passage < ? ORDER BY passage",
            [number << PASSAGE_BITS, (number + 1) << PASSAGE_BITS],
        )
        kept = (KeptCodes(*each) for _, *each in rows)
        return {each.key: each.codes for each in kept if each.intact}

    def all_token_codes(self) -> Iterator[tuple[int, KeptCodes]]:
        """Stream (passage, codes), passages ascending."""
        for passage, *kept in self._db.execute(f"{_CODES} ORDER BY passage"):
            yield passage, KeptCodes(*kept)

    def token_report(self) -> dict[str, int]:
        """Count the passages that have token vectors, and the bytes of these."""
        passages, size = self._db.execute(
            "SELECT count(*), coalesce(sum(length(codes)), 0) FROM token_vectors"
        ).fetchone()
        return {"passages": passages, "bytes": size}

    @property
    def has_tokens(self) -> bool:
        """Whether any passage has token vectors."""
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM token_vectors)").fetchone()[0])

    def unpaired_tokens(self) -> tuple[list[int], list[int]]:
        """Return the passages without token vectors, and the token vectors without a passage."""
        query = "SELECT passage FROM {0} WHERE passage NOT IN (SELECT passage FROM {1})"
        names = ("passages", "token_vectors")
        bare, stray = (
            [passage for (passage,) in self._db.execute(query.format(*pair))]
            for pair in (names, names[::-1])
        )
        return bare, stray

    def projection(self) -> KeptProjection | None:
        """Return the matrix that all codes were made by; None before the first ones."""
        found = self._db.execute("SELECT matrix, sha256 FROM projection").fetchone()
        return None if found is None else KeptProjection(*found)

    def keep_projection(self, matrix: bytes) -> None:
        """Keep the matrix of the codes that are written in this transaction.

        Raises:
            ClozeError: codes made by another one are there.
        """
        known, sha256 = self.projection(), hashlib.sha256(matrix).digest()
        if known is None:
            self._db.execute("INSERT INTO projection VALUES (?, ?)", [matrix, sha256])
        elif known.sha256 != sha256:
            raise ClozeError(
                "another process has just written the first token vectors, by the matrix "
                f"{known.sha256.hex()[:12]}…, this one has {sha256.hex()[:12]}…; run this again"
            )


def insert_codes(db: sqlite3.Connection, rows: Iterable[tuple[int, bytes, bytes]]) -> None:
    """Write (passage, key, codes)."""
    db.executemany(
        "INSERT INTO token_vectors VALUES (?, ?, ?)",
        ((passage, codes, checksum(key, codes)) for passage, key, codes in rows),
    )
