"""The share of a search that is spent inside its models."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from indexer.runtime.forward import load_forward
from search.index import Index

if TYPE_CHECKING:
    from indexer.runtime.forward import Forward, Outputs
    from indexer.runtime.precision import Precision
    from indexer.runtime.rows import Batch

_WARM_UP = 3


class Watch:
    """When forward passes ran: (begin, end) of each, in seconds."""

    def __init__(self) -> None:
        """Begin with none."""
        self.spans: list[tuple[float, float]] = []
        self._lock = Lock()

    def add(self, begin: float, end: float) -> None:
        """Note a pass; from any thread."""
        with self._lock:
            self.spans.append((begin, end))

    @contextmanager
    def forwards(self) -> "Iterator[None]":
        """Watch every forward pass that a model loads meanwhile."""

        def watched(*arguments: Any, **options: Any) -> "Forward":  # noqa: ANN401 - as load_forward
            return _Watched(load_forward(*arguments, **options), self)

        with patch("indexer.runtime.model.load_forward", watched):
            yield


class _Watched:
    """A forward pass that tells a watch when it ran."""

    def __init__(self, forward: "Forward", watch: Watch) -> None:
        self.precision: Precision = forward.precision
        self._forward = forward
        self._watch = watch

    def __call__(self, batch: "Batch") -> "Outputs":
        begin = perf_counter()
        outputs = self._forward(batch)
        self._watch.add(begin, perf_counter())
        return outputs


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return the length of the union of spans (begin, end)."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def share_inside(
    folder: str, queries: Sequence[str], rerank: str, depth: int, threads: int
) -> dict[str, Any]:
    """Search an index, hybrid and reranked, one query at a time, and see where the time goes.

    Returns:
        Medians: milliseconds of each stage as the answers tell them, those in which some forward
        pass ran, and their share of the total.
    """
    watch = Watch()
    with watch.forwards(), Index.open(folder, threads=threads) as index:
        for query in queries[:_WARM_UP]:
            index.search(query, rerank=rerank, rerank_depth=depth)
        stages: dict[str, list[float]] = {}
        inside, shares = [], []
        for query in queries:
            watch.spans.clear()
            took = index.search(query, rerank=rerank, rerank_depth=depth).took_ms
            inside.append(covered(watch.spans) * 1000)
            shares.append(inside[-1] / took["total"])
            for stage, milliseconds in took.items():
                stages.setdefault(stage, []).append(milliseconds)
    return {
        "queries": len(queries),
        "stages_ms": {stage: round(median(values), 2) for stage, values in stages.items()},
        "inside_ms": round(median(inside), 2),
        "share": round(median(shares), 3),
    }
