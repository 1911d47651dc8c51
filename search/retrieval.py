"""The first stages of a query: filter, BM25 postings and query vector side by side, vectors."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from indexer.errors import ClozeError
from indexer.filters import Filter
from indexer.index import Index
from indexer.plan import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.ranking import Candidates as Best
    from indexer.ranking import Ranking
    from search.reranking.reading import Reading

# Document numbers with their scores, best first, every tie at the end of the list included.
Candidates: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.float64]]"


@dataclass(slots=True, kw_only=True)
class Retrieved:
    """What the first stages left for the next ones; a stage that was not asked for is absent.

    `allowed` are the documents that the filter passes, None without one; `vector` is the query's,
    `passages` the best one of each dense candidate, `plan` how the vectors were searched; `took`
    tells milliseconds by stage, `begin` when the query came. `readings` is what rerankers have read
    and scored so far, by whether the vector chose the passages.
    """

    candidates: dict[str, Candidates] = field(default_factory=dict)
    allowed: "NDArray[np.int64] | None" = None
    vector: "NDArray[np.float32] | None" = None
    passages: "NDArray[np.int64] | None" = None
    plan: Plan | None = None
    took: dict[str, float] = field(default_factory=dict)
    begin: float = field(default_factory=perf_counter)
    readings: "dict[bool, Reading]" = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note how long a stage takes."""
        begin = perf_counter()
        yield
        self.took[stage] = (perf_counter() - begin) * 1000


# What the lexical stage found, and how many milliseconds it took.
Lexical: TypeAlias = "tuple[Candidates, float]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """An unfiltered lexical stage begun before its query's turn: at which commit, and how deep."""

    commit: "Ranking"
    depth: int
    found: "Future[Lexical]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One query for the first stages: "lexical", "dense" or both, to a depth, maybe filtered.

    `vector` is the query's, [dimension], where it has been encoded before; `ahead` its lexical
    stage, where that has begun without a filter, which counts if it is of the commit that is read.
    """

    query: str
    stages: frozenset[str]
    depth: int
    condition: Filter | None = None
    vector: "NDArray[np.float32] | None" = None
    ahead: Ahead | None = None


def begin_lexical(index: Index, side: Executor, query: str, depth: int) -> Ahead:
    """Begin a query's lexical stage at the commit that an index now reads; from any thread."""
    lexical = index.lexical
    commit = lexical.commit
    return Ahead(
        commit=commit, depth=depth,
        found=side.submit(_timed, lambda: commit.best(lexical.analyzer.terms(query), depth, None)),
    )  # fmt: skip


def retrieve(index: Index, side: Executor, asked: Sequence[Asked]) -> list[Retrieved | ClozeError]:
    """Fetch each query's best `depth` documents of each stage; an error for a filter that is wrong.

    Call it while the index is being read. Queries are encoded together; the lexical stage of all
    runs on `side`, beside the encoder and the vectors.

    Raises:
        ClozeError: a stage that several queries share can't be had.
    """
    filtered = [_filtered(index, each) for each in asked]
    sound = [(each, found) for each, found in zip(asked, filtered, strict=True)
             if isinstance(found, Retrieved)]  # fmt: skip
    pending = [(found, _lexical(index, side, found, each)) for each, found in sound
               if "lexical" in each.stages]  # fmt: skip
    dense = [(each, found) for each, found in sound if "dense" in each.stages]
    _encode(index, dense)
    for depth in {each.depth for each, _ in dense}:
        _dense(index, [found for each, found in dense if each.depth == depth], depth)
    for found, future in pending:
        found.candidates["lexical"], found.took["lexical"] = future.result()
    return filtered


def _filtered(index: Index, asked: Asked) -> Retrieved | ClozeError:
    """Begin a query with the documents that its filter passes."""
    found = Retrieved()
    if asked.condition is not None:
        try:
            with found.timed("filter"):
                found.allowed = index.store.matching(asked.condition, index.sequence)
        except ClozeError as error:
            return error
    return found


def _lexical(index: Index, side: Executor, found: Retrieved, asked: Asked) -> "Future[Lexical]":
    """Return what the lexical stage will have found, begun now or before."""
    ahead, lexical = asked.ahead, index.lexical
    if ahead is not None:
        if ahead.commit is lexical.commit and ahead.depth == asked.depth:
            return ahead.found
        ahead.found.cancel()
    return side.submit(_timed, lambda: lexical.search(asked.query, asked.depth, found.allowed))


def _timed(search: "Callable[[], Best]") -> Lexical:
    begin = perf_counter()
    best = search()
    return (best.numbers, best.scores), (perf_counter() - begin) * 1000


def _dense(index: Index, founds: Sequence[Retrieved], depth: int) -> None:
    """Search the vectors for queries that have theirs; the time is that of all together."""
    begin = perf_counter()
    vectors = np.stack([found.vector for found in founds if found.vector is not None])
    nearest = index.dense.search_many(vectors, depth, [found.allowed for found in founds])
    took = (perf_counter() - begin) * 1000
    for found, near in zip(founds, nearest, strict=True):
        found.plan, found.passages, found.took["dense"] = near.plan, near.passages, took
        found.candidates["dense"] = (near.numbers, near.scores)


def _encode(index: Index, pairs: Sequence[tuple[Asked, Retrieved]]) -> None:
    """Give queries their vectors, those that are missing in one pass of the encoder."""
    for each, found in pairs:
        found.vector = each.vector
    missing = [(each, found) for each, found in pairs if each.vector is None]
    if missing:
        begin = perf_counter()
        vectors = index.encoder.encode_queries([each.query for each, _ in missing])
        took = (perf_counter() - begin) * 1000
        for (_, found), vector in zip(missing, vectors, strict=True):
            found.vector, found.took["encode"] = vector, took
