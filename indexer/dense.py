"""Passage vectors in FAISS, flat and exact, derived from the store.

The file is one FAISS index under ids, and its name is its own checksum; what it covers is read from
its ids, and the rest is replayed from the store.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.errors import DamagedIndexError
from indexer.plan import Plan
from indexer.records import PASSAGE_BITS
from indexer.shard import Shard, scalar_index
from indexer.store import Store

_READ_ROWS = 20_000
# A scan's float32 sums differ from the kernel's by less than this, times both norms.
_ROUNDING = 1e-4
_SUFFIX = ".faiss"


@dataclass(frozen=True, slots=True)
class Nearest:
    """Documents by their best passage, best first; ties at the end of the list are all there."""

    numbers: NDArray[np.int64]
    scores: NDArray[np.float64]
    passages: NDArray[np.int64]
    plan: Plan


class Dense:
    """The vectors of one index folder in memory, as one sequence number of the store has them.

    Rows lie in one flat FAISS index a thread, in float16 as stored; a scan proposes, and final
    scores are recomputed from the stored numbers by one kernel, so they depend on neither the
    number of threads nor the history of the rows.
    """

    def __init__(self, home: Path, dimension: int, threads: int) -> None:
        """Read the newest intact file, or start empty; damaged ones are told by `damage`."""
        self.home = home
        self.dimension = dimension
        self.damage: list[str] = []
        # Below every sequence number: what the file holds has not been held against the store.
        self.covered = -1
        self._purges = 0
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="dense")
        self._shards = [Shard(dimension) for _ in range(threads)]
        self._load()

    def _load(self) -> None:
        loaded = self._read_file()
        if loaded is not None:
            ids, vectors = loaded
            for shard, rows in zip(
                self._shards, np.array_split(np.arange(len(ids)), len(self._shards)), strict=True
            ):
                shard.add(ids[rows], vectors[rows])

    def _read_file(self) -> tuple[NDArray[np.int64], NDArray[np.float16]] | None:
        tried: set[Path] = set()
        while path := self._newest_but(tried):
            tried.add(path)
            try:
                return _read(path, self.dimension)
            except FileNotFoundError:
                continue  # a writer has put a newer one in its place
            except DamagedIndexError as error:
                self.damage.append(str(error))
        return None

    def _newest_but(self, tried: set[Path]) -> Path | None:
        ages: dict[Path, int] = {}
        for path in set(self.home.glob(f"*{_SUFFIX}")) - tried:
            with contextlib.suppress(FileNotFoundError):
                ages[path] = path.stat().st_mtime_ns
        return max(ages, key=lambda path: ages[path], default=None)

    @property
    def count(self) -> int:
        """How many passages can be found."""
        return sum(int(shard.alive.sum()) for shard in self._shards)

    def catch_up(self, store: Store, upto: int) -> int:
        """Take in what the store has at a sequence number; return how many rows changed."""
        if self.covered == upto:
            return 0
        # Postings that another process rebuilds cover less for a while: only then `upto` is lower.
        if self.covered < 0 or upto < self.covered or self._purges != store.purges:
            new = store.numbers(upto)
            if self.covered < 0:
                self._drop_newer(store, new)
            changed = sum(shard.keep(new) for shard in self._shards)
        else:
            change = store.changes(self.covered, upto)
            new = np.array(change.added, dtype=np.int64)
            changed = 0
            for shard in self._shards:
                changed += shard.set_alive(change.deleted, alive=False)
                # Rows that an earlier state was asked for after them.
                changed += shard.set_alive(change.added, alive=True)
        last = max(shard.last_document for shard in self._shards)
        for ids, vectors in _read_rows(store, last, new, self.dimension):
            # Rows go to the smallest shard, so that the threads' shares stay even.
            min(self._shards, key=lambda shard: shard.size).add(ids, vectors)
            changed += len(ids)
        self.covered, self._purges = upto, store.purges
        return changed

    def _drop_newer(self, store: Store, visible: NDArray[np.int64]) -> None:
        """Forget a file that a later commit wrote: it lacks documents that are visible here."""
        known = np.concatenate([shard.ids >> PASSAGE_BITS for shard in self._shards])
        lacking = np.setdiff1d(visible[visible <= known.max(initial=-1)], known)
        # A document without words has no passage and is rightly not there.
        if len(lacking) and store.windows((lacking << PASSAGE_BITS).tolist()):
            self._shards = [Shard(self.dimension) for _ in self._shards]

    def save(self) -> None:
        """Write all rows that can be found to a new file, and remove older ones."""
        self.home.mkdir(exist_ok=True)
        ids, vectors = self.rows()
        inner = scalar_index(self.dimension)
        index = faiss.IndexIDMap2(inner)
        if len(ids):
            index.add_with_ids(vectors.astype(np.float32), ids)
        with tempfile.TemporaryDirectory(dir=self.home) as place:
            scratch = Path(place) / "new"
            faiss.write_index(index, str(scratch))
            with scratch.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            path = self.home / f"{digest}{_SUFFIX}"
            scratch.rename(path)
            os.utime(path)
        for old in self.home.iterdir():
            if old.is_dir():  # of a process that was killed in here
                shutil.rmtree(old, ignore_errors=True)
            elif old != path:
                old.unlink(missing_ok=True)

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Return all passages that can be found and their vectors, by passage number."""
        ids = np.concatenate([shard.ids[shard.alive] for shard in self._shards])
        vectors = np.concatenate([shard.vectors[shard.alive] for shard in self._shards])
        order = np.argsort(ids)
        return ids[order], vectors[order]

    def search(
        self, query: NDArray[np.float32], depth: int, allowed: NDArray[np.int64] | None = None
    ) -> Nearest:
        """Return the documents whose best passage scores among the best `depth`, ties included.

        `query`: [dimension]; `allowed`: ascending document numbers that may be found.
        """
        masks = [shard.mask(allowed) for shard in self._shards]
        reachable = sum(int(mask.sum()) for mask in masks)
        documents = max(1, sum(shard.documents for shard in self._shards))
        size = sum(shard.size for shard in self._shards)
        # The best documents have more than their share of passages among the best ones.
        limit = int((depth + 32) * max(1.0, size / documents) ** 0.8 * 1.1)
        margin = _ROUNDING * float(np.linalg.norm(query)) * max(s.norm for s in self._shards)
        while True:
            scores, passages, floor = self._best_rows(query, limit, masks)
            plan = Plan(kind="flat", passages=reachable, scored=len(scores))
            nearest = _best_passages(scores, passages, plan)
            settled = nearest.scores[depth - 1 : depth] > floor + margin
            if len(scores) >= reachable or settled.any():
                break
            limit *= 2
        if len(nearest.scores) > depth:
            kept = nearest.scores >= nearest.scores[depth - 1]
            return Nearest(
                nearest.numbers[kept], nearest.scores[kept], nearest.passages[kept], plan
            )
        return nearest

    def _best_rows(
        self, query: NDArray[np.float32], limit: int, masks: list[NDArray[np.bool_]]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
        """Return exact scores and passages of about `limit` rows, and a bound for all others."""
        tasks = [
            self._pool.submit(shard.propose, query, limit, mask)
            for shard, mask in zip(self._shards, masks, strict=True)
        ]
        proposals = [task.result() for task in tasks]
        floor = max(bound for _, _, bound in proposals)
        together = np.concatenate([proposed for proposed, _, _ in proposals])
        if len(together) > limit:
            # Each shard may hold all of the best; of their union only these need exact scores.
            cut = float(-np.partition(-together, limit - 1)[limit - 1])
            floor = max(floor, cut)
            proposals = [(p[p >= cut], rows[p >= cut], bound) for p, rows, bound in proposals]
        pairs = list(zip(self._shards, proposals, strict=True))
        exact = [self._pool.submit(shard.score, rows, query) for shard, (_, rows, _) in pairs]
        scores = np.concatenate([task.result() for task in exact])
        return scores, np.concatenate([s.ids[rows] for s, (_, rows, _) in pairs]), floor

    def passages(self, document: int, query: NDArray[np.float32]) -> list[tuple[int, float]]:
        """Return a document's passages with their scores, best first."""
        found: list[tuple[int, float]] = []
        for shard in self._shards:
            found += shard.passages(document, query)
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False)


def _best_passages(scores: NDArray[np.float64], passages: NDArray[np.int64], plan: Plan) -> Nearest:
    """Reduce passages to documents: the best score, and of equal ones the first passage."""
    order = np.lexsort((passages, -scores))
    documents = passages[order] >> PASSAGE_BITS
    first = np.sort(np.unique(documents, return_index=True)[1])
    chosen = order[first]
    return Nearest(documents[first], scores[chosen], passages[chosen], plan)


def _read_rows(
    store: Store, after: int, visible: NDArray[np.int64], dimension: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
    """Stream the vectors of visible documents above a number, in blocks."""
    ids: list[int] = []
    blobs: list[bytes] = []

    def block() -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        numbers = np.array(ids, dtype=np.int64)
        vectors = np.frombuffer(b"".join(blobs), dtype=np.float16).reshape(-1, dimension)
        kept = np.isin(numbers >> PASSAGE_BITS, visible)
        return numbers[kept], vectors[kept]

    for passage, blob in store.vectors(after):
        ids.append(passage)
        blobs.append(blob)
        if len(ids) == _READ_ROWS:
            yield block()
            ids.clear()
            blobs.clear()
    if ids:
        yield block()


def _read(path: Path, dimension: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Read a file after its checksum has been found to be its name."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != path.stem:
        raise DamagedIndexError(
            f"{path} has sha256 {digest[:12]}…, its name says {path.stem[:12]}…; it is rebuilt "
            "from the store"
        )
    try:
        index: Any = faiss.read_index(str(path))  # IndexIDMap2, which the stubs call an Index
    except RuntimeError:
        path.stat()  # tells it when a writer has removed the file since
        raise
    if index.d != dimension:
        raise DamagedIndexError(
            f"{path} holds vectors of {index.d} numbers, the manifest says {dimension}; it is "
            "rebuilt from the store"
        )
    ids = faiss.vector_to_array(index.id_map)
    inner: Any = faiss.downcast_index(index.index)
    return ids, faiss.vector_to_array(inner.codes).view(np.float16).reshape(-1, dimension)
