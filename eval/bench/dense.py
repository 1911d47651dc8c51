"""The vectors' search against FAISS's flat scan: time, recall, filters, memory, in one run."""

import json
import math
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.figures import machine, spread
from eval.bench.flat import BEST, Flat, recall
from eval.bench.resident import resident
from indexer import vector_file
from indexer.errors import ClozeError
from indexer.questions import questions
from indexer.vectors import vectors_report
from search.index import Index
from search.queries import read_queries

# Another than that of the passages which the index chose its effort by.
_SEED = 20_260_731
_WARM_UP = 5
_SHARES = (0.5, 0.1, 0.01, 0.001, 0.0)
# Between two searches, so that a thread pool that spins for a moment after its work is at rest.
_PAUSE_SECONDS = 0.005
_LENGTH = 8  # bytes in front of a safetensors header, which tell its length

_Vectors = NDArray[np.float32]
_Tell = Callable[[str], None]


def bench_dense(
    folder: str,
    queries: int,
    rounds: int,
    queries_file: str | None,
    threads: int | None,
    tell: _Tell = lambda _: None,
) -> dict[str, Any]:
    """Hold the dense search of an index against all of its vectors.

    Queries are sentences of its passages through the query encoder. Each is answered in turn by
    FAISS's flat scan of float32 vectors, ten best, with one thread and with all, and by the
    index's own search, ten best documents and as many as the engine asks for. Recall is of the ten
    best documents by exact scores, found by brute force.
    """
    texts = _texts(queries_file, queries) if queries_file else []
    with Index.open(folder, threads=threads) as index:
        tell(f"{folder}: reading {index.dense.count:,} vectors, encoding queries")
        numbers, rows = index.dense.rows()
        vectors = _questions(index, numbers, queries)
        asked = index.encoder.encode_queries(texts) if texts else None
        flat = Flat(numbers, rows, index.threads)
        del rows
        depths = list(dict.fromkeys((BEST, index.depth)))
        result = {
            "bench": "dense",
            "documents": len(flat.documents),
            "passages": index.dense.count,
            "dimension": index.dense.dimension,
            "queries": len(vectors),
            "rounds": rounds,
            **_side_by_side(index, flat, vectors, depths, rounds, tell),
            "recall_at_10": _recalls(index, flat, vectors, depths, tell),
            "recall_at_10_of_file": None
            if asked is None
            else _recalls(index, flat, asked, depths, tell),
            "filtered": _filtered(index, flat, vectors, depths, tell),
            "bytes": _file_parts(index),
            "built": vectors_report(index) or {"kind": "flat"},
            "machine": machine(index.threads),
        }
        count = index.threads
    del flat
    tell("memory, in a process that has the index alone")
    return result | resident(Path(folder), count, vectors=vectors.tolist(), depths=depths)


def _texts(path: str, count: int) -> list[str]:
    texts = [text for _, text in read_queries(path)]
    if not texts:
        raise ClozeError(f"{path} has no queries; give a file with one or more")
    return random.Random(0).sample(texts, min(count, len(texts)))


def _questions(index: Index, numbers: NDArray[np.int64], count: int) -> _Vectors:
    """Return the query vectors of a sentence each of passages drawn by a seed."""
    if not len(numbers):
        raise ClozeError(f"{index.folder} has no vectors to search; index documents first")
    # Where the encoder can't be had, this says so. And one call before many: OpenVINO's first ones,
    # from two threads, can wait for each other.
    index.encoder.encode_queries([str(index.folder)])
    rng = np.random.default_rng(_SEED)
    drawn = rng.choice(numbers, min(count, len(numbers)), replace=False)
    return questions(index, drawn.tolist())


def _side_by_side(
    index: Index, flat: Flat, vectors: _Vectors, depths: Sequence[int], rounds: int, tell: _Tell
) -> dict[str, Any]:
    """Time each query by each way, one after the other; return milliseconds and ratios of p50."""
    ways: dict[str, Callable[[_Vectors], object]] = {
        "flat_one_thread": lambda query: flat.scan(query, all_threads=False),
        "flat_all_threads": lambda query: flat.scan(query, all_threads=True),
    }
    for depth in depths:
        ways[f"depth_{depth}"] = lambda query, depth=depth: index.dense.search(query, depth)  # type: ignore[misc]
    times: dict[str, list[float]] = {name: [] for name in ways}
    for query in vectors[:_WARM_UP]:
        for search in ways.values():
            search(query)
    for number in range(rounds):
        tell(f"flat scan and search in turn: round {number + 1} of {rounds}")
        for query in vectors:
            for name, search in ways.items():
                times[name].append(_seconds(lambda search=search, query=query: search(query)))  # type: ignore[misc]
    medians = {name: float(np.median(taken)) for name, taken in times.items()}
    return {
        **{f"{name}_ms": spread(taken) for name, taken in times.items()},
        "flat_to_ours": {
            f"depth_{depth}": {
                name: round(medians[f"flat_{name}"] / medians[f"depth_{depth}"], 2)
                for name in ("one_thread", "all_threads")
            }
            for depth in depths
        },
    }


def _seconds(search: Callable[[], object]) -> float:
    time.sleep(_PAUSE_SECONDS)
    begin = perf_counter()
    search()
    return perf_counter() - begin


def _recalls(
    index: Index, flat: Flat, vectors: _Vectors, depths: Sequence[int], tell: _Tell
) -> dict[str, Any]:
    tell(f"recall of {len(vectors)} queries by brute force")
    every = len(flat.documents)
    (tenths,) = flat.tenths(vectors, [np.arange(every)])
    found = {}
    for depth in depths:
        scores = [index.dense.search(query, depth).scores for query in vectors]
        shares = [recall(s, float(t), every) for s, t in zip(scores, tenths, strict=True)]
        found[f"depth_{depth}"] = _interval(shares)
    return found


def _interval(shares: Sequence[float]) -> dict[str, float]:
    """Return the mean with its 95% interval by the normal approximation, within 0 and 1."""
    mean = float(np.mean(shares))
    doubt = 1.96 * float(np.std(shares, ddof=1)) / math.sqrt(len(shares)) if shares[1:] else 0.0
    return {
        "mean": round(mean, 4),
        "low": round(max(0.0, mean - doubt), 4),
        "high": round(min(1.0, mean + doubt), 4),
        "queries": len(shares),
    }


def _filtered(
    index: Index, flat: Flat, vectors: _Vectors, depths: Sequence[int], tell: _Tell
) -> dict[str, Any]:
    """Return recall, time and plan where a random share of the documents may be found."""
    tell("filters by brute force")
    rng = np.random.default_rng(_SEED)
    every = len(flat.documents)
    sizes = [round(every * share) for share in _SHARES]
    among = [np.sort(rng.choice(every, size, replace=False)) for size in sizes]
    tenths = flat.tenths(vectors, among)
    found: dict[str, Any] = {}
    for share, places, lowest in zip(_SHARES, among, tenths, strict=True):
        tell(f"filter of {share * 100:g}%")
        found[f"{share:g}"] = {"documents": len(places)} | {
            f"depth_{depth}": _filtered_search(
                index, vectors, depth, flat.documents[places], lowest
            )
            for depth in depths
        }
    return found


def _filtered_search(
    index: Index,
    vectors: _Vectors,
    depth: int,
    allowed: NDArray[np.int64],
    tenths: NDArray[np.float32],
) -> dict[str, Any]:
    shares, times, complete = [], [], True
    for query, tenth in zip(vectors, tenths, strict=True):
        time.sleep(_PAUSE_SECONDS)
        begin = perf_counter()
        near = index.dense.search(query, depth, allowed)
        times.append(perf_counter() - begin)
        shares.append(recall(near.scores, float(tenth), len(allowed)))
        complete = complete and len(near.numbers) >= min(depth, len(allowed))
    return {
        "recall_at_10": _interval(shares),
        "as_many_as_asked_for": complete,
        "plan": near.plan.kind,
        "ms": spread(times),
    }


def _file_parts(index: Index) -> dict[str, int]:
    """Return the bytes of the parts of the vectors' file, from its header."""
    path = vector_file.newest(index.data / "dense")
    if path is None:
        return {}
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(_LENGTH), "little")))
    parts = {name: entry["data_offsets"] for name, entry in header.items() if name[0] != "_"}
    sizes = {name: end - start for name, (start, end) in parts.items()}
    return sizes | {"whole": path.stat().st_size}
