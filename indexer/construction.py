"""An approximate FAISS index built from rows, and its effort chosen by measuring recall."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.approximate import LEAST, LEAST_OF_ALL, kind_of, search, search_all
from indexer.errors import ClozeError
from indexer.gpus import on_gpu

# Fewer rows than this are scanned whole: on two cores that takes 3 ms, and is exact.
FLAT_ROWS = 50_000
_SEED = 20_260_101
_ITERATIONS = 10
# k-means sees so many rows for each list; FAISS asks for at least 39.
_ROWS_PER_LIST = 64
_LEAST_ROWS_PER_LIST = 39
_QUERIES = 1024
_BLOCK = 65_536
_BEST = 10
# One-sided, 95%: recall is at least what was asked for, and not by luck of the queries.
_CONFIDENCE = 1.645
_TIMED = 32
_TIE = 1e-6

# Given passage numbers, returns query vectors [queries, dimension].
Questions = Callable[[list[int]], NDArray[np.float32]]
# Hears how many rows or documents are through.
Told = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked of the index: a FAISS factory string, None by size; and the recall at ten."""

    faiss: str | None = None
    recall: float = 0.98

    def factory(self, rows: int, dimension: int) -> str | None:
        """Return the factory string for so many rows, or None where they are scanned whole."""
        if self.faiss is None:
            lists = 2 ** round(math.log2(3 * math.sqrt(max(rows, 1))))
            # 4 bits for two dimensions are compared in registers, in a quarter of SQ8's time.
            codes = f"PQ{dimension // 2}x4fsr" if dimension % 2 == 0 else "SQ8"
            return f"IVF{lists},{codes}" if rows >= FLAT_ROWS and self.recall < 1 else None
        if self.faiss == "Flat":
            return None
        index = make(self.faiss, dimension)
        codewords = 2**index.pq.nbits if hasattr(index, "pq") else 1
        clusters = max(getattr(index, "nlist", 1), codewords)
        return self.faiss if rows >= _LEAST_ROWS_PER_LIST * clusters else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows to build from: passage numbers, ascending, and what reads float16 rows by place."""

    numbers: NDArray[np.int64]
    take: Callable[[NDArray[np.int64]], NDArray[np.float16]]

    def blocks(self) -> Iterator[NDArray[np.float16]]:
        """Yield all rows in order, some at a time."""
        places = np.arange(len(self.numbers))
        for start in range(0, len(places), _BLOCK):
            yield self.take(places[start : start + _BLOCK])


def make(factory: str, dimension: int) -> Any:  # noqa: ANN401 - any kind of FAISS index
    """Make an empty index by its factory string.

    Raises:
        ClozeError: FAISS does not know it, or it is of no kind that can be filtered here.
    """
    try:
        owner = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError:
        raise ClozeError(
            f"--faiss {factory!r} is no FAISS factory string for {dimension} dimensions; use e.g. "
            "Flat, IVF1024,SQ8 or HNSW32,SQ8"
        ) from None
    index: Any = faiss.downcast_index(owner)
    index.referenced_objects = (owner,)  # of which it is a view
    # Of the others, FAISS can't search some through a filter, or can't be told the effort.
    kinds = (
        faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ,
        faiss.IndexIVFPQFastScan, faiss.IndexHNSWFlat, faiss.IndexHNSWSQ,
        faiss.IndexScalarQuantizer,
    )  # fmt: skip
    if not isinstance(index, kinds):
        raise ClozeError(
            f"--faiss {factory!r} makes a {type(index).__name__}, which can't be used; use Flat, "
            "SQ, IVF with Flat, SQ or PQ, or HNSW with Flat or SQ, e.g. IVF1024,SQ8"
        )
    return index


def check_wish(faiss: str | None, recall: float | None, dimension: int) -> None:
    """Check what a user asks of the vectors' index; None and "auto" ask for nothing.

    Raises:
        ClozeError: FAISS knows no such kind, or the recall is no share.
    """
    if faiss not in (None, "auto", "Flat"):
        make(str(faiss), dimension)
    if recall is not None and not 0 < recall <= 1:
        raise ClozeError(f"--recall is {recall:g}; it must be above 0 and at most 1 (exact)")


def build(
    factory: str,
    wish: Wish,
    source: Source,
    dimension: int,
    questions: Questions | None,
    device: str = "cpu",
    told: Told = lambda rows: None,
) -> tuple[Any, dict[str, Any]]:
    """Train an index on a sealed sample, add all rows in order, and choose its effort.

    The sample is drawn by a fixed seed, without the passages whose sentences the recall is then
    measured with; without `questions`, these passages' own vectors are the queries. With `device`
    cuda most of the training runs on a GPU; the index comes back to the CPU either way. `told`
    hears how many rows have been added.

    Returns:
        The index, and what is to be noted of it.
    """
    index = make(factory, dimension)
    total = len(source.numbers)
    rng = np.random.default_rng(_SEED)
    held_out = np.sort(rng.choice(total, min(_QUERIES, total // 10), replace=False))
    others = np.setdiff1d(np.arange(total), held_out)
    lists = getattr(index, "nlist", 0)
    wanted = min(len(others), max(_ROWS_PER_LIST * lists, _BLOCK))
    _fill(index, source, np.sort(rng.choice(others, wanted, replace=False)), device, told)
    queries = None if questions is None else questions(source.numbers[held_out].tolist())
    asked = "sentences"
    if queries is None or not len(queries):
        queries, asked = source.take(held_out).astype(np.float32), "passages"
    exact = _exact(source, queries)
    curve = _measure(index, source, queries, exact, wish.recall)
    of_all = _recalls(source, queries, search_all(index, queries, min(LEAST_OF_ALL, total)), exact)
    notes = {
        "factory": factory,
        "kind": kind_of(index),
        "effort": curve[-1][0],
        "recall": curve[-1][1],
        "recall_of_all": round(float(of_all.mean()), 4),
        "wanted": wish.recall,
        "queries": len(queries),
        "asked": asked,
        "curve": curve,
        "built": total,
        "training": {"seed": _SEED, "rows": wanted, "iterations": _ITERATIONS if lists else 0},
    }
    return index, notes


def _fill(
    index: Any,  # noqa: ANN401 - any kind of FAISS index
    source: Source,
    sample: NDArray[np.int64],
    device: str,
    told: Told,
) -> None:
    """Train an empty index on a sample, the places of rows, and add all rows in order."""
    threads = faiss.omp_get_max_threads()
    nearest_centre = None
    if hasattr(index, "nlist"):
        index.cp.seed, index.cp.niter = _SEED, _ITERATIONS
        # Held here as well: FAISS keeps no reference of its own.
        nearest_centre = on_gpu(faiss.IndexFlatIP(index.d), device)
        index.clustering_index = nearest_centre
    else:
        # HNSW's graph depends on the order in which threads come to it.
        faiss.omp_set_num_threads(1)
    try:
        index.train(source.take(sample).astype(np.float32))
        for block in source.blocks():
            index.add(block.astype(np.float32))
            told(index.ntotal)
    finally:
        faiss.omp_set_num_threads(threads)
        if nearest_centre is not None:
            index.clustering_index = None


def _measure(
    index: Any,  # noqa: ANN401 - any kind of FAISS index
    source: Source,
    queries: NDArray[np.float32],
    exact: NDArray[np.float32],
    wanted: float,
) -> list[tuple[int, float, float]]:
    """Return (effort, recall at ten, milliseconds a query) by growing effort.

    The last is the least whose recall is with 95% confidence what is wanted, or the greatest.
    """
    curve: list[tuple[int, float, float]] = []
    for effort in _efforts(index):
        begin = perf_counter()
        for query in queries[:_TIMED]:
            search(index, query[None], LEAST, effort)
        milliseconds = (perf_counter() - begin) * 1000 / len(queries[:_TIMED])
        recalls = _recalls(source, queries, search(index, queries, LEAST, effort), exact)
        curve.append((effort, round(float(recalls.mean()), 4), round(milliseconds, 3)))
        doubt = _CONFIDENCE * float(recalls.std()) / math.sqrt(len(recalls))
        if recalls.mean() - doubt >= wanted:
            break
    return curve


def _efforts(index: Any) -> list[int]:  # noqa: ANN401 - any kind of FAISS index
    """Return efforts from the least to the greatest that makes sense, each about 1.2 times more."""
    kind = kind_of(index)
    if kind == "flat":
        return [0]
    first, last = (1, index.nlist) if kind == "ivf" else (LEAST, 4096)
    steps = range(math.ceil(4 * math.log2(last / first)))
    return [*dict.fromkeys(round(first * 2 ** (step / 4)) for step in steps), last]


def _exact(source: Source, queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the exact score of each query's tenth best row."""
    best = np.full((len(queries), _BEST), -np.inf, dtype=np.float32)
    for block in source.blocks():
        scores = queries @ block.astype(np.float32).T  # [queries, block]
        both = np.concatenate([best, scores], axis=1)
        best = -np.partition(-both, _BEST - 1, axis=1)[:, :_BEST]
    lowest: NDArray[np.float32] = best.min(axis=1)
    return lowest


def _recalls(
    source: Source,
    queries: NDArray[np.float32],
    rows: NDArray[np.int64],
    exact: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return which share of its ten best each query found, counting any that score as well."""
    possible = min(_BEST, len(source.numbers))
    found = []
    for query, its, tenth in zip(queries, rows, exact, strict=True):
        scores = source.take(its[its >= 0]).astype(np.float32) @ query
        found.append(min(int((scores >= tenth - _TIE).sum()), possible) / possible)
    return np.array(found)
