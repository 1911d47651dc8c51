"""BM25 postings in tantivy, derived from the store.

Every posting's document carries the sequence number up to which the postings covered the store
when it was written, so what they cover is read from themselves: the highest of these numbers.
"""

import contextlib
import json
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from indexer import generations
from indexer.analysis import Analyzer
from indexer.documents import Document
from indexer.errors import DamagedIndexError
from indexer.store import Store

# tantivy's memory for writing, in bytes; and how many documents are read from the store at once.
_HEAP = 64_000_000
_READ = 100
# Fetched beyond the depth, so that a tie at the cut is rarely asked for twice.
_SLACK = 64


@dataclass(frozen=True, slots=True)
class Candidates:
    """Documents with their scores, best first; ties at the end of the list are all there."""

    numbers: NDArray[np.int64]
    scores: NDArray[np.float64]


class Lexical:
    """The postings of one index folder, read at one commit until `reload`."""

    def __init__(self, home: Path, analyzer: Analyzer, title_weight: int) -> None:
        """Open the current generation, or an empty first one."""
        self.home = home
        self.analyzer = analyzer
        self.title_weight = title_weight
        self.reload()

    def reload(self) -> None:
        """Move to the newest commit of the current generation.

        Raises:
            DamagedIndexError: tantivy can't open its files.
        """
        while True:
            self._generation = generations.current(self.home) or self._publish_empty()
            try:
                self._open(self._generation)
                return
            except BaseException as error:
                if not _tells_damage(error):
                    raise
                if generations.current(self.home) == self._generation:
                    raise DamagedIndexError(
                        f"the postings in {self._generation} can't be read ({error}); they are "
                        "derived from the store"
                    ) from error
                # Else a writer has put a newer generation in its place meanwhile.

    def _open(self, generation: Path) -> None:
        index = tantivy.Index.open(str(generation))
        index.config_reader(reload_policy="manual")
        index.reload()
        searcher = index.searcher()
        self.covered = _covered(searcher)
        self._index, self._searcher, self.schema = index, searcher, index.schema

    def _publish_empty(self) -> Path:
        self.home.mkdir(exist_ok=True)
        with self._scratch() as scratch:
            tantivy.Index(_schema(), path=str(scratch))
            return generations.publish(scratch, self.home)

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        scratch = Path(tempfile.mkdtemp(prefix="new-", dir=self.home))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    @property
    def count(self) -> int:
        """How many documents have postings."""
        return int(self._searcher.num_docs)

    @property
    def dead(self) -> int:
        """How many deleted documents BM25's statistics still count."""
        segments = json.loads((self._generation / "meta.json").read_bytes())["segments"]
        return max(0, sum(int(each["max_doc"]) for each in segments) - self.count)

    def catch_up(self, store: Store, upto: int) -> None:
        """Apply what the store has done since, up to a sequence number, and move there.

        Only one process may be in here; the writer's lock sees to it.
        """
        if self.covered >= upto:
            return
        change = store.changes(self.covered, upto)
        # A transaction that leaves nothing to add would leave no trace: touch one live document.
        added = change.added or store.last(upto)
        writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        # Files of a commit that was killed: this one may have to write some of the same names.
        writer.garbage_collect_files()
        for number in {*change.deleted, *(added if not change.added else ())}:
            writer.delete_documents_by_term("number", number)
        if not added:
            writer.delete_all_documents()
        self._add(writer, store, added, upto)
        writer.commit()
        writer.wait_merging_threads()
        self.reload()

    def _add(
        self, writer: tantivy.IndexWriter, store: Store, numbers: Sequence[int], upto: int
    ) -> None:
        for start in range(0, len(numbers), _READ):
            for number, document in sorted(store.documents(numbers[start : start + _READ]).items()):
                writer.add_document(self._posting(number, document, upto))

    def _posting(self, number: int, document: Document, sequence: int) -> tantivy.Document:
        # A weight multiplies the term's frequency (Robertson, Zaragoza and Taylor, 2004, "Simple
        # BM25 extension to multiple weighted fields"), which for whole numbers is repetition.
        terms = self.analyzer.terms(document.title) * self.title_weight
        terms += self.analyzer.terms(document.text)
        posting = tantivy.Document()
        posting.add_text("body", " ".join(terms))
        posting.add_integer("number", number)
        posting.add_integer("sequence", sequence)
        return posting

    def rebuild(self, store: Store) -> None:
        """Write a new generation from the live documents, with statistics of these alone."""
        upto = store.sequence
        with self._scratch() as scratch:
            index = tantivy.Index(_schema(), path=str(scratch))
            writer = index.writer(heap_size=_HEAP, num_threads=1)
            for number, document in store.all_live():
                writer.add_document(self._posting(number, document, upto))
            writer.commit()
            writer.wait_merging_threads()
            generations.publish(scratch, self.home)
        generations.prune(self.home)
        self.reload()

    def search(self, text: str, depth: int, allowed: NDArray[np.int64] | None = None) -> Candidates:
        """Return the documents that score among the best `depth`, ties at the cut included.

        `allowed`: document numbers that may be found, or None for all.
        """
        terms = self.analyzer.terms(text)
        query = self._query(terms, allowed)
        limit = depth + _SLACK
        while True:
            hits = self._searcher.search(query, limit, count=False).hits
            if len(hits) < limit or hits[-1][0] < hits[depth - 1][0]:
                break
            limit *= 2
        if len(hits) > depth:
            hits = [hit for hit in hits if hit[0] >= hits[depth - 1][0]]
        numbers = self._searcher.fast_field_values("number", [address for _, address in hits])
        return Candidates(
            np.array(numbers, dtype=np.int64), np.array([score for score, _ in hits], dtype=float)
        )

    def count_matches(self, text: str, allowed: NDArray[np.int64] | None = None) -> int:
        """Count the documents that hold any of the query's terms."""
        query = self._query(self.analyzer.terms(text), allowed)
        found: Any = self._searcher.search(query, 1, count=True)  # the stubs lack its count
        return int(found.count)

    def _query(self, terms: Sequence[str], allowed: NDArray[np.int64] | None) -> tantivy.Query:
        if not terms:
            return tantivy.Query.empty_query()
        should = []
        for term, count in sorted(Counter(terms).items()):
            query = tantivy.Query.term_query(self.schema, "body", term, index_option="freq")
            weighted = tantivy.Query.boost_query(query, float(count)) if count > 1 else query
            should.append((tantivy.Occur.Should, weighted))
        any_term = tantivy.Query.boolean_query(should)
        if allowed is None:
            return any_term
        inside = tantivy.Query.term_set_query(self.schema, "number", allowed.tolist())
        return tantivy.Query.boolean_query(
            [
                (tantivy.Occur.Must, any_term),
                (tantivy.Occur.Must, tantivy.Query.const_score_query(inside, 0.0)),
            ]
        )

    def damage(self) -> list[str]:
        """Check the checksum that tantivy keeps at the end of each file of its newest commit."""
        return [
            f"{path}: its content does not have the checksum written with it"
            for path in sorted(_committed(self._generation))
            if not _intact(path)
        ]

    def numbers(self) -> NDArray[np.int64]:
        """Return the numbers of all documents that have postings, ascending."""
        hits = self._searcher.search(
            tantivy.Query.all_query(), max(1, self.count), count=False
        ).hits
        values = self._searcher.fast_field_values("number", [address for _, address in hits])
        return np.sort(np.array(values, dtype=np.int64))


def _covered(searcher: tantivy.Searcher) -> int:
    newest = searcher.search(
        tantivy.Query.all_query(), 1, count=False, order_by_field="sequence"
    ).hits
    return int(newest[0][0]) if newest else 0


def _tells_damage(error: BaseException) -> bool:
    """Tell whether tantivy met bytes that it did not write: it says so, or panics."""
    return isinstance(error, ValueError) or type(error).__name__ == "PanicException"


def _committed(generation: Path) -> Iterator[Path]:
    """Yield the files of the newest commit, but not what a killed process left half written.

    A segment's files are named by its id; that of its deletions has the commit's number as well.
    """
    segments = json.loads((generation / "meta.json").read_bytes())["segments"]
    deletions = {
        segment["segment_id"].replace("-", ""): (segment["deletes"] or {}).get("opstamp")
        for segment in segments
    }
    for path in generation.iterdir():
        segment, _, kind = path.name.partition(".")
        if segment in deletions and (path.suffix != ".del" or kind == f"{deletions[segment]}.del"):
            yield path


def _intact(path: Path) -> bool:
    """Compare a file's CRC-32 with its footer: JSON, the JSON's length, a magic number."""
    content = path.read_bytes()
    try:
        length = int.from_bytes(content[-8:-4], "little")
        footer = json.loads(content[-8 - length : -8])
        return bool(zlib.crc32(content[: -8 - length]) == footer["crc"])
    except (ValueError, KeyError, TypeError):
        return False


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
    builder.add_integer_field("number", indexed=True, fast=True)
    builder.add_integer_field("sequence", fast=True)
    return builder.build()
