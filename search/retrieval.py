"""The first stages of a query: filter, BM25 postings and query vector side by side, vectors."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

from indexer.filters import Filter
from indexer.index import Index
from indexer.plan import Plan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


def retrieve(
    index: Index,
    side: Executor,
    query: str,
    *,
    stages: frozenset[str],
    depth: int,
    condition: Filter | None,
) -> Retrieved:
    """Fetch the best `depth` documents of each stage, "lexical" and "dense".

    Call it while the index is being read; the lexical stage runs on `side`, beside the encoder.
    """
    found = Retrieved()
    if condition is not None:
        with found.timed("filter"):
            found.allowed = index.store.matching(condition, index.sequence)

    def lexical() -> Candidates:
        with found.timed("lexical"):
            best = index.lexical.search(query, depth, found.allowed)
        return best.numbers, best.scores

    pending = side.submit(lexical) if "lexical" in stages else None
    if "dense" in stages:
        with found.timed("encode"):
            found.vector = index.encoder.encode_queries([query])[0]
        with found.timed("dense"):
            near = index.dense.search(found.vector, depth, found.allowed)
            found.plan, found.passages = near.plan, near.passages
            found.candidates["dense"] = (near.numbers, near.scores)
    if pending is not None:
        found.candidates["lexical"] = pending.result()
    return found
