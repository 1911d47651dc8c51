"""The first documents of an index as an index of their own, their vectors copied, not encoded."""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.lock import writer_lock
from indexer.manifest import write_manifest
from indexer.progress import Step
from indexer.records import PASSAGE_BITS, Entry, StoredPassage
from search.index import Index

_BATCH = 5_000
_DOCUMENTS = (
    "SELECT number, id, title, text, metadata, text_hash, metadata_hash, tokens, dropped, sketch "
    "FROM documents JOIN contents USING (number) WHERE deleted IS NULL "
    "ORDER BY number LIMIT ? OFFSET ?"
)
_PASSAGES = (
    'SELECT "start", "end", "key", vector FROM passages WHERE passage >= ? AND passage < ? '
    "ORDER BY passage"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """An index of the first `documents` of another, and what of it took how many seconds.

    `seconds` of the store, the postings and the vectors; None where an earlier run had begun it.
    """

    documents: int
    source: str
    sequence: int
    seconds: dict[str, float] | None


def copied(source: Index, place: Path, documents: int, tell: Callable[[str], None]) -> Copy:
    """Make the copy in a folder named by its size, go on with one begun, or take up a whole one.

    A whole one has a file of the same name beside it, ending in .json. Store, postings and vectors'
    index are made as always; the source's encoder is lent to it.

    Raises:
        ClozeError: the source has fewer documents, or the folder holds a copy of another state.
    """
    note = place / f"{documents}.json"
    wanted = Copy(
        documents=documents,
        source=str(source.folder.resolve()),
        sequence=source.sequence,
        seconds=None,
    )
    if note.exists():
        return _taken_up(note, wanted)
    if source.lexical.count < documents:
        raise ClozeError(
            f"{source.folder} has {source.lexical.count:,} documents, --sizes asks for "
            f"{documents:,}; leave that size out"
        )
    folder = place / str(documents)
    if not (folder / "manifest.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(folder, replace(source.manifest, data="."))
    with Index.open(folder, threads=source.threads) as index:
        index.__dict__["encoder"] = source.encoder
        seconds = _fill(index, source, documents, tell)
    whole = replace(wanted, seconds=seconds)
    note.write_text(json.dumps(asdict(whole)) + "\n")
    return whole


def _taken_up(note: Path, wanted: Copy) -> Copy:
    found = Copy(**json.loads(note.read_bytes()))
    if replace(found, seconds=None) != wanted:
        raise ClozeError(
            f"{note.with_suffix('')} is a copy of {found.source} at transaction {found.sequence}, "
            f"asked for {wanted.source} at {wanted.sequence}; name another folder with --keep"
        )
    return found


def _fill(
    index: Index, source: Index, documents: int, tell: Callable[[str], None]
) -> dict[str, float] | None:
    """Write what is missing in the store, then derive postings and vectors; return seconds."""
    begun = len(index.store.numbers(index.store.sequence))
    clock = _Clock()
    clock.start("store")
    uri = f"{(source.data / 'store.sqlite').resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
        db.execute("BEGIN")  # one state of it, whatever is written meanwhile
        entries = _entries(db, begun, documents - begun)
        done = begun
        while batch := list(islice(entries, _BATCH)):
            with writer_lock(index.folder), index.store.transaction():
                index.store.write(batch)
            done += len(batch)
            if done % (20 * _BATCH) == 0:
                tell(f"{documents:,} documents: {done:,} copied")

    def step(now: Step) -> None:
        if now.phase in ("lexical", "dense", "seal") and clock.start(now.phase):
            tell(f"{documents:,} documents: {now.phase}")

    index.add([], progress=step)
    clock.stop()
    del clock.seconds["seal"]
    return None if begun else {name: round(took, 2) for name, took in clock.seconds.items()}


class _Clock:
    """Seconds by phase, one after the other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase = ""
        self._begin = 0.0

    def start(self, phase: str) -> bool:
        """End the phase before; tell whether this is another one."""
        if phase == self._phase:
            return False
        self.stop()
        self._phase, self._begin = phase, perf_counter()
        return True

    def stop(self) -> None:
        """Add what the phase has taken."""
        if self._phase:
            took = perf_counter() - self._begin
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + took


def _entries(db: sqlite3.Connection, skipped: int, count: int) -> Iterator[Entry]:
    """Stream live documents as they were written, in the order they were added."""
    for number, id_, title, text, metadata, *rest in db.execute(_DOCUMENTS, [count, skipped]):
        text_hash, metadata_hash, tokens, dropped, sketch = rest
        span = [number << PASSAGE_BITS, (number + 1) << PASSAGE_BITS]
        found: list[Any] = db.execute(_PASSAGES, span).fetchall()
        yield Entry(
            document=Document(id=id_, title=title, text=text, metadata=json.loads(metadata)),
            text_hash=text_hash,
            metadata_hash=metadata_hash,
            passages=tuple(
                StoredPassage(start=start, end=end, key=key, vector=vector)
                for start, end, key, vector in found
            ),
            tokens=tokens,
            dropped=dropped,
            sketch=sketch,
        )
