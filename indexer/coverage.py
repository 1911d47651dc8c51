"""What a store holds in numbers, and what of it the encoder could not read."""

import hashlib
import sqlite3
from collections.abc import Iterator

from indexer.near_duplicates import SLOTS, count_near_duplicates
from indexer.records import PASSAGE_BITS


def coverage(db: sqlite3.Connection) -> dict[str, int]:
    """Count documents, dead rows, passages, tokens, and what the index report tells."""
    row = db.execute(
        "SELECT count(*) FILTER (WHERE deleted IS NULL), "
        "count(*) FILTER (WHERE deleted IS NOT NULL), "
        "coalesce(sum(tokens) FILTER (WHERE deleted IS NULL), 0), "
        "coalesce(sum(empty) FILTER (WHERE deleted IS NULL), 0), "
        "count(*) FILTER (WHERE deleted IS NULL AND dropped > 0), "
        "coalesce(sum(dropped) FILTER (WHERE deleted IS NULL), 0), "
        "count(*) FILTER (WHERE deleted IS NULL AND empty = 0) "
        "- count(DISTINCT body_hash) FILTER (WHERE deleted IS NULL AND empty = 0) "
        "FROM documents"
    ).fetchone()
    passages = db.execute(
        "SELECT (SELECT count(*) FROM passages) - (SELECT count(*) FROM documents JOIN passages "
        "ON passage >= number << ? AND passage < (number + 1) << ? WHERE deleted IS NOT NULL)",
        [PASSAGE_BITS, PASSAGE_BITS],
    ).fetchone()[0]
    names = (
        "documents", "dead", "tokens", "empty", "truncated_documents", "dropped_tokens",
        "duplicate_texts",
    )  # fmt: skip
    near = count_near_duplicates(_sketches(db))
    return dict(zip(names, row, strict=True)) | {"passages": passages, "near_duplicates": near}


def _sketches(db: sqlite3.Connection) -> Iterator[bytes]:
    rows = db.execute(
        "SELECT sketch FROM documents WHERE deleted IS NULL AND length(sketch) = ? ORDER BY number",
        [SLOTS],
    )
    for (sketch,) in rows:
        yield sketch


def digest(db: sqlite3.Connection) -> str:
    """Return a sha256 over the ids and texts of all live documents: what a ranking depends on."""
    whole = hashlib.sha256()
    for document, text_hash in db.execute(
        "SELECT id, text_hash FROM documents WHERE deleted IS NULL ORDER BY id"
    ):
        whole.update(f"{len(document)} {document}".encode() + text_hash)
    return whole.hexdigest()
