"""A query's cost by the size of the index: encode, BM25, vectors, hybrid, over the same queries."""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from eval.bench.changes import changes
from eval.bench.copies import copied
from eval.bench.extrapolation import extrapolation
from eval.bench.figures import machine, spread
from eval.bench.resident import resident
from indexer.errors import ClozeError
from indexer.vectors import vectors_report
from search.index import Index

_QUERY_WORDS = 9
_WARM_UP = 20
_ANSWERED = 50
_TARGET = 100_000_000
_STAGES = ("encode", "lexical", "dense", "hybrid")
# Between two timings, so that a thread pool that spins for a moment after its work is at rest.
_PAUSE_SECONDS = 0.005

_Tell = Callable[[str], None]
_Times = dict[str, list[float]]


def bench_growth(
    folder: str,
    sizes: Sequence[int],
    queries: int,
    keep: str | None,
    threads: int | None,
    tell: _Tell = lambda _: None,
) -> dict[str, Any]:
    """Make indexes of the first documents of one, and time the same queries on all in turn.

    Queries are nine words that stand together in a document that every index has. Each is encoded
    alone, searched in the postings and by its vector to the engine's depth, and answered whole,
    hybrid, ten hits. Then one document is changed and deleted in a copy of each index, with random
    vectors; and a process of its own tells memory. With `keep` the indexes stay in that folder,
    where an interrupted run goes on.
    """
    with ExitStack() as stack:
        source = stack.enter_context(Index.open(folder, threads=threads))
        # One call before many: OpenVINO's first ones, from two threads, can wait for each other.
        source.encoder.encode_queries([folder])
        place = Path(keep) if keep else _scratch(stack, Path(folder))
        sizes = sorted(set(sizes))
        copies = [copied(source, place, size, tell) for size in sizes]
        folders = [place / str(size) for size in sizes]
        texts = _drawn(folders[0], queries + _WARM_UP, source.threads)
        records = _timed(source, folders, texts, tell)
        for record, path, copy in zip(records, folders, copies, strict=True):
            tell(f"{path}: changes, memory")
            record |= {
                "build_s": copy.seconds,
                **changes(source, path),
                "bytes": _bytes(path),
                **resident(path, source.threads, queries=texts[:_ANSWERED]),
            }
        return {
            "bench": "growth",
            "queries": queries,
            "sizes": records,
            "growth": [_growth(*pair) for pair in pairwise(records)],
            "extrapolation": extrapolation(records[-2], records[-1], _TARGET)
            if len(records) > 1
            else None,
            "machine": machine(source.threads),
        }


def _scratch(stack: ExitStack, folder: Path) -> Path:
    """Make a folder beside the index, which is gone at the end."""
    beside = folder.absolute().parent
    return Path(stack.enter_context(tempfile.TemporaryDirectory(dir=beside)))


def _drawn(folder: Path, count: int, threads: int) -> list[str]:
    """Draw nine words each that stand together in a document, by a seed."""
    rng = random.Random(0)
    with Index.open(folder, threads=threads) as index:
        numbers = rng.choices(index.lexical.numbers().tolist(), k=2 * count)
        documents = index.store.documents(numbers)
    texts = [documents[number].text.split() for number in numbers]
    drawn = []
    for words in filter(None, texts):
        start = rng.randrange(max(1, len(words) - _QUERY_WORDS))
        drawn.append(" ".join(words[start : start + _QUERY_WORDS]))
    if len(drawn) < count:
        raise ClozeError(
            f"of {2 * count} documents drawn {len(drawn)} have words, {count} are needed; use an "
            "index whose documents have texts"
        )
    return drawn[:count]


def _timed(
    source: Index, folders: Sequence[Path], texts: Sequence[str], tell: _Tell
) -> list[dict[str, Any]]:
    """Time each query on each index, in turn, from another one first each time."""
    with ExitStack() as stack:
        indexes = []
        for folder in folders:
            index = stack.enter_context(Index.open(folder, threads=source.threads))
            index.__dict__["encoder"] = source.encoder
            indexes.append(index)
        times: list[_Times] = [{} for _ in indexes]
        for place, text in enumerate(texts):
            if place % 50 == 0:
                tell(f"{place} of {len(texts)} queries")
            for turn in range(len(indexes)):
                chosen = (place + turn) % len(indexes)
                taken = _one(indexes[chosen], text)
                if place >= _WARM_UP:
                    for name, seconds in taken.items():
                        times[chosen].setdefault(name, []).append(seconds)
        return [_record(*each) for each in zip(indexes, times, strict=True)]


def _one(index: Index, text: str) -> dict[str, float]:
    """Return the seconds that a query takes by stage alone, and whole."""
    taken: dict[str, float] = {}
    vector = _clocked(taken, "encode", partial(index.encoder.encode_queries, [text]))[0]
    _clocked(taken, "lexical", partial(index.lexical.search, text, index.depth))
    _clocked(taken, "dense", partial(index.dense.search, vector, index.depth))
    results = _clocked(taken, "hybrid", partial(index.search, text))
    return taken | {f"in {stage}": took / 1000 for stage, took in results.took_ms.items()}


def _clocked(taken: dict[str, float], name: str, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the function returns
    time.sleep(_PAUSE_SECONDS)
    begin = perf_counter()
    found = function()
    taken[name] = perf_counter() - begin
    return found


def _record(index: Index, times: _Times) -> dict[str, Any]:
    ratios = {
        f"hybrid_to_encode_{name}": round(
            float(np.percentile(times["hybrid"], rank) / np.percentile(times["encode"], rank)), 3
        )
        for name, rank in (("p50", 50), ("p95", 95))
    }
    return {
        "documents": index.lexical.count,
        "passages": index.dense.count,
        "segments": index.lexical.segments,
        "vectors": vectors_report(index),
        **{f"{stage}_ms": spread(times[stage]) for stage in _STAGES},
        "stages_ms": {
            name.removeprefix("in "): spread(seconds)
            for name, seconds in times.items()
            if name.startswith("in ")
        },
        **ratios,
    }


def _growth(smaller: dict[str, Any], larger: dict[str, Any]) -> dict[str, Any]:
    ranks = {
        f"{stage}_{rank}": round(larger[f"{stage}_ms"][rank] / smaller[f"{stage}_ms"][rank], 3)
        for stage in _STAGES
        for rank in ("p50", "p95")
    }
    return {"from": smaller["documents"], "to": larger["documents"], **ranks}


def _bytes(folder: Path) -> dict[str, int]:
    """Return the bytes on disk of the store, the postings and the vectors."""
    parts = {
        "store": folder.glob("store.sqlite*"),
        "lexical": (folder / "lexical").rglob("*"),
        "dense": (folder / "dense").rglob("*"),
    }
    return {
        name: sum(path.stat().st_size for path in paths if path.is_file())
        for name, paths in parts.items()
    }
