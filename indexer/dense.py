"""Passage vectors, derived from the store: exact while few, by an approximate index when many.

A file holds them as of one sequence number of the store, which it carries; what came after is
replayed from the store into flat shards beside it.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer import vector_file
from indexer.approximate import Approximate
from indexer.construction import Questions, Source, Told, Wish, build
from indexer.errors import DamagedIndexError
from indexer.kernel import is_exact
from indexer.nearest import Nearest, nearest
from indexer.records import PASSAGE_BITS
from indexer.rows import Rows
from indexer.shard import Shard
from indexer.store import Store
from indexer.stored_vectors import check_stored, read_rows
from indexer.together import LEAST, MOST_SCORES, nearest_together

# A file is built anew when it has grown by this factor since its index was trained.
_OUTGROWN = 2


class Dense:
    """The vectors of one index folder, as one sequence number of the store has them."""

    def __init__(
        self,
        home: Path,
        dimension: int,
        threads: int,
        wish: Wish = Wish(),  # noqa: B008 - frozen
        questions: Questions | None = None,
        device: str = "cpu",
    ) -> None:
        """Read the newest intact file, or start empty; damaged ones are told by `damage`.

        `questions` gives query vectors for passages, to measure an approximate index with; with
        `device` cuda, GPUs build and search it where they can.
        """
        self.home = home
        self.dimension = dimension
        self.wish = wish
        self.damage: list[str] = []
        self._base: Approximate | None = None
        self._file: Path | None = None
        self._passed_over: Path | None = None
        self._damaged: set[Path] = set()
        # Of the last file that was intact: passage numbers and the checksums of their rows.
        self._written_sums = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64))
        self._questions = questions
        self._device = device
        self._threads = threads
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="dense")
        faiss.omp_set_num_threads(threads)
        self._load()

    def _load(self) -> None:
        """Take up the newest file that is intact."""
        self._forget()
        while path := vector_file.newest(self.home, but=self._damaged):
            try:
                found = vector_file.read(path, self.dimension, self._threads)
            except FileNotFoundError:
                continue  # a writer has put a newer one in its place
            except DamagedIndexError as error:
                self.damage.append(str(error))
                self._damaged.add(path)
                continue
            self._file = path
            self._written_sums = (found.numbers, found.sums)
            self.covered = int(found.notes["sequence"])
            if found.index is not None:
                self._base = Approximate(path, found, self._threads, self._pool, self._device)
            else:
                parts = np.array_split(np.arange(len(found.numbers)), self._threads)
                for shard, rows in zip(self._shards, parts, strict=True):
                    shard.add(found.numbers[rows], found.rows[rows])
            return

    @property
    def _parts(self) -> list[Rows]:
        return [*([self._base] if self._base else []), *self._shards]

    @property
    def count(self) -> int:
        """How many passages can be found."""
        return sum(int(part.alive.sum()) for part in self._parts)

    @property
    def notes(self) -> dict[str, Any]:
        """What was noted when the approximate index was built; nothing where all is scanned."""
        return dict(self._base.notes) if self._base else {}

    def catch_up(self, store: Store, upto: int) -> int:
        """Take in what the store has at a sequence number; return how many rows changed."""
        self._follow(upto)
        return 0 if self.covered == upto else self._replay(store, upto)

    def _follow(self, upto: int) -> None:
        """Take up an approximate index that another process built, or what came in its place."""
        newest = vector_file.newest(self.home, but=self._damaged)
        if newest is None or newest in (self._file, self._passed_over):
            return
        with contextlib.suppress(FileNotFoundError, DamagedIndexError):
            notes = vector_file.read_notes(newest)
            if int(notes["sequence"]) > upto:
                return  # a later commit, to which the postings have not come yet
            if "kind" in notes or self._base is not None:
                self._load()
                return
        self._passed_over = newest

    def _replay(self, store: Store, upto: int) -> int:
        """Read from the store what this lacks; interrupted, it starts over the next time."""
        try:
            # A file of a later commit lacks what was deleted in between; one from before a purge
            # does not hear of what was purged.
            if store.purged <= self.covered <= upto:
                change = store.changes(self.covered, upto)
                changed = sum(part.set_alive(change.deleted, alive=False) for part in self._parts)
                # Rows that an earlier state was asked for after them.
                changed += sum(part.set_alive(change.added, alive=True) for part in self._parts)
                new = np.array(change.added, dtype=np.int64)
            else:
                new = store.numbers(upto)
                self._drop_incomplete(store, new)
                changed = sum(part.keep(new) for part in self._parts)
            last = max(part.last_document for part in self._parts)
            for ids, vectors in read_rows(store, last, new, self.dimension):
                # Rows go to the smallest shard, so that the threads' shares stay even.
                min(self._shards, key=lambda shard: shard.size).add(ids, vectors)
                changed += len(ids)
        except BaseException:
            self._forget()
            raise
        self.covered = upto
        return changed

    def _drop_incomplete(self, store: Store, visible: NDArray[np.int64]) -> None:
        """Forget rows that lack an earlier document that is visible, or are of no commit known."""
        known = np.unique(np.concatenate([part.known() for part in self._parts]))
        lacking = np.setdiff1d(visible[visible <= known.max(initial=-1)], known)
        # A document without words has no passage and is rightly not there.
        lacks = len(lacking) and store.windows((lacking << PASSAGE_BITS).tolist())
        if lacks or self.covered > store.sequence:
            self._forget()

    def _forget(self) -> None:
        """Drop all rows, so that the store is read anew."""
        self._base = None
        self._shards = [Shard(self.dimension) for _ in range(self._threads)]
        # Below every sequence number: nothing has been held against the store.
        self.covered = -1
        self._file = None
        self._passed_over = None

    def save(self) -> None:
        """Write all rows to a new file and take it up; older ones are removed."""
        with self.saved() as publish:
            publish()

    @contextlib.contextmanager
    def saved(self, told: Told = lambda rows: None) -> Iterator[Callable[[], None]]:
        """Write all rows to a new file, and give what puts it in place and takes it up.

        An approximate index is built when there are enough rows for one, and again when it is
        outgrown; else rows that came since are added to it. Where another process has put a file in
        place meanwhile, that one stays.
        """
        before = vector_file.newest(self.home, but=self._damaged)
        outgrown = self._base is not None and self.count > _OUTGROWN * self._base.notes["built"]
        with self._written(told, rebuild=outgrown) as publish:

            def unless_overtaken() -> None:
                if vector_file.newest(self.home, but=self._damaged) == before:
                    publish()

            yield unless_overtaken

    @contextlib.contextmanager
    def rebuilt(self, store: Store, told: Told = lambda rows: None) -> Iterator[Callable[[], None]]:
        """Write a file from the store alone, and give what puts it in place and takes it up.

        It is built from one state of the store, while others may write; where another process has
        purged rows meanwhile, its file stays. `told` hears how many rows have been added.
        """
        with store.snapshot():
            self._forget()
            self._replay(store, store.sequence)
            check_stored(store, self._shards, *self._written_sums)
        with self._written(told, rebuild=True) as publish:

            def unless_purged() -> None:
                if store.purged <= self.covered:
                    publish()

            yield unless_purged

    @property
    def exact(self) -> bool:
        """Whether so few rows are there, or so much is asked for, that all are scanned."""
        return self.wish.factory(self.count, self.dimension) is None

    @contextlib.contextmanager
    def _written(self, told: Told, *, rebuild: bool) -> Iterator[Callable[[], None]]:
        notes: dict[str, Any] = {"sequence": self.covered}
        factory = self.wish.factory(self.count, self.dimension)
        kept = self._base is not None and not rebuild and factory is not None
        source, alive = self._source(dead=kept)
        index: Any = None
        if kept:
            index = self._grown()
            notes = self.notes | notes
        elif factory is not None:
            index, built = build(
                factory, self.wish, source, self.dimension, self._questions, self._device, told
            )
            notes |= built
        notes["norm"] = max((part.norm for part in self._parts), default=0.0)
        blocks = source.blocks()
        with vector_file.written(
            self.home, source.numbers, alive, blocks, self.dimension, notes, index
        ) as publish:

            def take_up() -> None:
                self._file = publish()
                self._damaged.discard(self._file)
                self._load()

            yield take_up

    def _grown(self) -> Any:  # noqa: ANN401 - any kind of FAISS index
        """Return the approximate index with the shards' rows added, in order."""
        if self._base is None:
            raise AssertionError("there is no index to add to")
        index = self._base.owned()
        numbers = np.concatenate([shard.ids for shard in self._shards])
        rows = np.concatenate([shard.stored(np.arange(shard.size)) for shard in self._shards])
        if len(numbers):
            index.add(rows[np.argsort(numbers)].astype(np.float32))
        return index

    def _source(self, *, dead: bool) -> tuple[Source, NDArray[np.bool_]]:
        """Return rows in the order of their numbers, those that count or with the dead ones."""
        parts = self._parts
        chosen = [np.arange(p.size) if dead else np.flatnonzero(p.alive) for p in parts]
        numbers = np.concatenate([p.ids[rows] for p, rows in zip(parts, chosen, strict=True)])
        alive = np.concatenate([p.alive[rows] for p, rows in zip(parts, chosen, strict=True)])
        owners = np.repeat(np.arange(len(parts)), [len(rows) for rows in chosen])
        order = np.argsort(numbers)
        owners, rows_of = owners[order], np.concatenate(chosen)[order]

        def take(places: NDArray[np.int64]) -> NDArray[np.float16]:
            found = np.empty((len(places), self.dimension), dtype=np.float16)
            for number, part in enumerate(parts):
                its = np.flatnonzero(owners[places] == number)
                found[its] = part.stored(rows_of[places[its]])
            return found

        return Source(numbers=numbers[order], take=take), alive[order]

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Return all passages that can be found and their vectors, by passage number."""
        source, _ = self._source(dead=False)
        return source.numbers, source.take(np.arange(len(source.numbers)))

    def damaged_parts(self) -> list[str]:
        """Return what of the file in use is not what was written, a line each."""
        if self._file is None:
            return []
        found = vector_file.damaged_parts(self._file, self._threads)
        return [f"{self._file}: its {name} are not what was written" for name in found]

    def search(
        self, query: NDArray[np.float32], depth: int, allowed: NDArray[np.int64] | None = None
    ) -> Nearest:
        """Return the documents whose best passage scores among the best `depth`, ties included.

        `query`: [dimension]; `allowed`: ascending document numbers that may be found.
        """
        parts = self._parts
        masks = [part.mask(allowed) for part in parts]
        return nearest(parts, masks, query, depth, self._pool, filtered=allowed is not None)

    def search_many(
        self,
        queries: NDArray[np.float32],
        depth: int,
        allowed: Sequence[NDArray[np.int64] | None],
    ) -> list[Nearest]:
        """Search for several queries, [queries, dimension], each with what it may find.

        Each gives what `search` gives, but for its plan's `scored`. Where all rows are scanned,
        they are read once for as many queries as `MOST_SCORES` allows, if these are not too few.
        """
        parts = [part for part in self._parts if part.size]
        norm = max((part.norm for part in parts), default=0.0)
        most = min(len(queries), MOST_SCORES // max(1, sum(part.size for part in parts)))
        if most < LEAST or not parts or self._base or not is_exact(norm, queries):
            return [
                self.search(query, depth, its) for query, its in zip(queries, allowed, strict=True)
            ]
        found = []
        for start in range(0, len(queries), most):
            some = slice(start, start + most)
            masks = [its if its is None else [part.mask(its) for part in parts]
                     for its in allowed[some]]  # fmt: skip
            found += nearest_together(parts, masks, queries[some], depth, self._pool)
        return found

    def passages(self, document: int, query: NDArray[np.float32]) -> list[tuple[int, float]]:
        """Return a document's passages with their scores, best first."""
        found: list[tuple[int, float]] = []
        for part in self._parts:
            found += part.passages(document, query)
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False)
