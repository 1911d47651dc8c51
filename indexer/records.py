"""What the store keeps: its tables, and the records that go in and out."""

from dataclasses import dataclass

from indexer.documents import Document

# A passage's number is its document's number followed by 20 bits for its place in it.
PASSAGE_BITS = 20

TOKEN_TABLES = (
    "CREATE TABLE token_vectors (passage INTEGER PRIMARY KEY, codes BLOB NOT NULL, "
    "checksum BLOB NOT NULL)",
    # One row: the matrix that all codes were made by.
    "CREATE TABLE projection (matrix BLOB NOT NULL, sha256 BLOB NOT NULL)",
)
SCHEMA = f"""
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('sequence', 0), ('purges', 0), ('purged', 0), ('sketched', 1);
CREATE TABLE documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    added INTEGER NOT NULL,
    deleted INTEGER,
    text_hash BLOB NOT NULL,
    metadata_hash BLOB NOT NULL,
    body_hash BLOB NOT NULL,
    empty INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    sketch BLOB
);
CREATE UNIQUE INDEX live ON documents (id) WHERE deleted IS NULL;
CREATE INDEX added ON documents (added);
CREATE INDEX deleted ON documents (deleted) WHERE deleted IS NOT NULL;
CREATE TABLE contents (
    number INTEGER PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL, metadata TEXT NOT NULL
);
CREATE TABLE passages (
    passage INTEGER PRIMARY KEY,
    "start" INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    "key" BLOB NOT NULL,
    vector BLOB NOT NULL
);
CREATE TABLE fields (field INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE facets (
    field INTEGER, kind INTEGER, value, document INTEGER,
    PRIMARY KEY (field, kind, value, document)
) WITHOUT ROWID;
CREATE INDEX facet_documents ON facets (document, field);
{";".join(TOKEN_TABLES)};
PRAGMA user_version = 3;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPassage:
    """A passage to be kept: its window, the hash of what the encoder read, its float16 vector.

    `codes` are its token vectors, None where they are not stored.
    """

    start: int
    end: int
    key: bytes
    vector: bytes
    codes: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A document ready to be written, with its passages and its counts of tokens.

    `sketch` is what near-duplicates are told by, None where the text is too short for one.
    """

    document: Document
    text_hash: bytes
    metadata_hash: bytes
    passages: tuple[StoredPassage, ...]
    tokens: int
    dropped: int
    sketch: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What tells whether a stored document is the one at hand."""

    number: int
    text_hash: bytes
    metadata_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened between two sequence numbers, as document numbers."""

    added: list[int]
    deleted: list[int]
