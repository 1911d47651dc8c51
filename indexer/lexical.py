"""BM25 postings in tantivy, derived from the store.

Every posting's document carries the sequence number up to which the postings covered the store
when it was written, so what they cover is read from themselves: the highest of these numbers.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tantivy
from numpy.typing import NDArray

from indexer import generations, postings
from indexer.analysis import Analyzer
from indexer.contributions import TermScore, contributions
from indexer.errors import DamagedIndexError
from indexer.ranking import Candidates, Ranking
from indexer.store import Store

# tantivy's memory for writing, in bytes, taken as it is needed: more of it makes fewer segments.
_HEAP = 256_000_000
# Threads that compute checksums: two read as fast as the memory of most machines gives.
_CHECKERS = 2
# Documents between two words about how far a new generation is.
_TOLD = 1000


class Lexical:
    """The postings of one index folder, read at one commit until `reload`."""

    def __init__(self, home: Path, analyzer: Analyzer, title_weight: int) -> None:
        """Open the current generation, or an empty first one.

        Raises:
            DamagedIndexError: a file does not have its checksum, or tantivy can't open one.
        """
        self.home = home
        self.analyzer = analyzer
        self.title_weight = title_weight
        # Whether the postings are read as they were found, wherever the store stands.
        self.frozen = False
        # Files that had their checksums, which tantivy never writes to again.
        self._checked: set[Path] = set()
        # The generation that is read, and what tantivy keeps of the commit.
        self._read: tuple[Path, bytes] = (home, b"")
        self.reload()

    def reload(self) -> None:
        """Move to the newest commit of the current generation, and check files that are new.

        Raises:
            DamagedIndexError: a file does not have its checksum, or tantivy can't open one.
        """
        if self.frozen:
            return
        while True:
            generation = generations.current(self.home) or self._publish_empty()
            commit = postings.meta(generation)
            if (generation, commit) == self._read:
                return
            problem = self._open(generation, commit)
            # Else a writer has put another commit or generation in its place meanwhile.
            if generation == generations.current(self.home) and commit == postings.meta(generation):
                break
        if problem:
            raise DamagedIndexError(
                f"the postings in {generation} can't be read ({problem}); they are derived from "
                "the store"
            ) from problem

    def _open(self, generation: Path, commit: bytes) -> BaseException | None:
        """Read a commit; return what tells that its files are damaged or gone."""
        try:
            self._check(generation, commit)  # before tantivy maps what may be cut short
            index = self._index_of(generation)
            index.reload()
            ranking = Ranking(index.searcher(), index.schema)
            covered = ranking.highest("sequence")
        except BaseException as error:
            if not postings.tells_damage(error):
                raise
            return error
        self._index, self._read = index, (generation, commit)
        self._ranking, self.covered = ranking, covered
        return None

    def _index_of(self, generation: Path) -> tantivy.Index:
        if self._read[0] == generation:
            return self._index
        index = tantivy.Index.open(str(generation))
        if index.schema != postings.schema():  # which has no checksum
            raise ValueError("meta.json has another schema than the one that was written")
        index.config_reader(reload_policy="manual")
        return index

    def _check(self, generation: Path, commit: bytes) -> None:
        files = set(postings.committed(generation, commit))
        if damaged := postings.broken(files - self._checked, _CHECKERS):
            raise ValueError(f"{damaged[0].name} does not have the checksum written with it")
        postings.check_counts(generation, commit)
        self._checked = files

    def _publish_empty(self) -> Path:
        self.home.mkdir(exist_ok=True)
        with generations.scratch(self.home) as scratch:
            tantivy.Index(postings.schema(), path=str(scratch))
            return generations.publish(scratch, self.home)

    @property
    def commit(self) -> Ranking:
        """The commit that is read; it can be searched from any thread, also after `reload`."""
        return self._ranking

    @property
    def count(self) -> int:
        """How many documents have postings."""
        return int(self._ranking.searcher.num_docs)

    @property
    def segments(self) -> int:
        """How many segments the postings are in: each is searched by itself."""
        return int(self._ranking.searcher.num_segments)

    @property
    def dead(self) -> int:
        """How many deleted documents BM25's statistics still count."""
        segments = postings.segments(self._read[1])
        return max(0, sum(segment.documents for segment in segments) - self.count)

    def catch_up(
        self, store: Store, upto: int, committed: Callable[[], None] = lambda: None
    ) -> None:
        """Apply what the store has done since, up to a sequence number, and move there.

        `committed` is called when it has moved, before segments are merged. Only one process may be
        in here; the writer's lock sees to it.
        """
        if self.covered >= upto:
            committed()
            return

        def move() -> None:
            self._move()
            committed()

        self._apply(self._index, self.covered, store, upto, move)
        self._move()  # to what merging has left

    def _move(self) -> None:
        generations.share(self._read[0])
        self.reload()

    def _apply(
        self,
        index: tantivy.Index,
        covered: int,
        store: Store,
        upto: int,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        """Bring postings that cover the store up to one sequence number to another."""
        change = store.changes(covered, upto)
        # A transaction that leaves nothing to add would leave no trace: touch one live document.
        added = change.added or store.last(upto)
        with _writer(index, committed) as writer:
            # Files of a commit that was killed: this one may have to write some of the same names.
            writer.garbage_collect_files()
            for number in {*change.deleted, *(added if not change.added else ())}:
                writer.delete_documents_by_term("number", number)
            if not added:
                writer.delete_all_documents()
            with contextlib.closing(store.texts(added)) as texts:
                self._add(writer, texts, upto)

    def _add(
        self, writer: tantivy.IndexWriter, texts: Iterable[tuple[int, str, str]], upto: int
    ) -> None:
        # A weight multiplies the term's frequency (Robertson, Zaragoza and Taylor, 2004, "Simple
        # BM25 extension to multiple weighted fields"), which for whole numbers is repetition.
        for number, title, text in texts:
            terms = self.analyzer.terms(title) * self.title_weight + self.analyzer.terms(text)
            writer.add_document(postings.posting(terms, number, upto))

    def rebuild(self, store: Store) -> None:
        """Write a new generation from the live documents, with statistics of these alone."""
        with self.rebuilt(store) as fresh:
            fresh.publish(store)

    @contextlib.contextmanager
    def rebuilt(
        self, store: Store, told: Callable[[int], None] = lambda documents: None
    ) -> Iterator["Rebuilt"]:
        """Write the next generation from the live documents, to be published within the block.

        It is built from one state of the store, while others may write; `told` hears how many
        documents are through.
        """
        with generations.scratch(self.home) as scratch:
            yield Rebuilt(self, store, scratch, told)

    def search(self, text: str, depth: int, allowed: NDArray[np.int64] | None = None) -> Candidates:
        """Return the documents that score among the best `depth`, ties at the cut included.

        `allowed`: document numbers that may be found, or None for all.
        """
        return self.search_terms(self.analyzer.terms(text), depth, allowed)

    def search_terms(
        self, terms: Sequence[str], depth: int, allowed: NDArray[np.int64] | None = None
    ) -> Candidates:
        """Search for terms that the analyzer has made; they weigh as often as they are there."""
        return self._ranking.best(terms, depth, allowed)

    def count_matches(self, text: str, allowed: NDArray[np.int64] | None = None) -> int:
        """Count the documents that hold any of the query's terms."""
        return self._ranking.count(self.analyzer.terms(text), allowed)

    def idf(self, terms: Iterable[str]) -> dict[str, float]:
        """Return terms' inverse document frequencies, with the statistics that BM25 goes by.

        ln(1 + (N - df + 0.5) / (df + 0.5)), both N and df counting the dead until compaction.
        """
        every = self.count + self.dead
        counts = self._ranking.frequencies(terms)
        return {term: math.log1p((every - df + 0.5) / (df + 0.5)) for term, df in counts.items()}

    def contributions(self, text: str, numbers: Sequence[int]) -> dict[int, tuple[TermScore, ...]]:
        """Return what each term of a query adds to the scores of documents, most first."""
        return contributions(self._ranking, self.analyzer, text, numbers)

    def damage(self) -> list[str]:
        """Check the checksum that tantivy keeps at the end of each file of its newest commit."""
        generation, _ = self._read
        try:
            files = list(postings.committed(generation, postings.meta(generation)))
        except ValueError as error:
            return [f"{generation}: {error}"]
        return [
            f"{path}: its content does not have the checksum written with it"
            for path in postings.broken(files, _CHECKERS)
        ]

    def numbers(self) -> NDArray[np.int64]:
        """Return the numbers of all documents that have postings, ascending."""
        return np.sort(self._ranking.numbers())


class Rebuilt:
    """A generation of postings that is not yet in place, with statistics of the living alone."""

    def __init__(
        self, lexical: Lexical, store: Store, scratch: Path, told: Callable[[int], None]
    ) -> None:
        """Build it from the store's present state; `told` hears how many documents are through."""
        self._lexical = lexical
        self._scratch = scratch
        self._told = told
        self._build(store)

    def _build(self, store: Store) -> None:
        index = tantivy.Index(postings.schema(), path=str(self._scratch))
        with store.snapshot():
            self._covered, self._purges = store.sequence, store.purges
            with _writer(index) as writer:
                writer.delete_all_documents()
                with contextlib.closing(store.live_texts()) as texts:
                    self._lexical._add(writer, self._counted(texts), self._covered)
        self._index = index

    def _counted(self, texts: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
        for done, text in enumerate(texts, 1):
            yield text
            if done % _TOLD == 0:
                self._told(done)

    def publish(self, store: Store) -> None:
        """Bring it up to the store, and put it in the place of the current generation.

        Call it under the writer's lock.
        """
        if store.purges != self._purges:
            self._build(store)  # what the store did since can't be told any more
        if store.sequence > self._covered:
            self._lexical._apply(self._index, self._covered, store, store.sequence)
        generations.publish(self._scratch, self._lexical.home)
        generations.prune(self._lexical.home)
        self._lexical.reload()


@contextlib.contextmanager
def _writer(
    index: tantivy.Index, committed: Callable[[], None] = lambda: None
) -> Iterator[tantivy.IndexWriter]:
    """Give a writer whose work is committed, and its segments merged, at the end.

    `committed` is called in between: merging a small index takes longer than a commit.
    """
    writer = index.writer(heap_size=_HEAP, num_threads=1)
    try:
        yield writer
        writer.commit()
        committed()
    except BaseException:
        # It frees tantivy's lock, which else is held for as long as anybody keeps the error.
        with contextlib.suppress(Exception):
            writer.wait_merging_threads()
        raise
    writer.wait_merging_threads()
