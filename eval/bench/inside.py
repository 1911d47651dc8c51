"""The share of a search that is spent inside its models."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from eval.bench.query import QUERIES
from indexer.errors import ClozeError
from indexer.runtime.forward import load_forward
from indexer.runtime.precision import Precision
from search.explanation import RerankPlan
from search.hits import Options
from search.index import Index

if TYPE_CHECKING:
    from indexer.runtime.forward import Forward, Outputs
    from indexer.runtime.rows import Batch


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
    folder: str,
    queries: Sequence[str],
    rerank: str,
    depth: int,
    threads: int,
    precision: Precision | None,
) -> dict[str, Any]:
    """Search an index, hybrid and reranked, one query at a time, and see where the time goes.

    `precision` is the reranker's, None leaves it to the search; queries are encoded in what agrees
    with the index's vectors. Queries of our own go before, and are not timed.

    Returns:
        The precisions, and medians: milliseconds of each stage as the answers tell them, those in
        which some forward pass ran, their share of the total, and how many passages were scored.

    Raises:
        ClozeError: the index has no vectors, or not this precision.
    """
    options: Options = {"mode": "hybrid", "rerank": rerank, "rerank_depth": depth}
    watch = Watch()
    with watch.forwards(), Index.open(folder, threads=threads) as index:
        if index.manifest.encoder is None:
            raise ClozeError(
                f"{folder} was built with --lexical-only, hybrid searches are timed; name an index "
                f"with vectors, or: cloze reindex {folder} --model MODEL"
            )
        encoding = index.encoder.precision
        index.precision = precision  # of what is loaded from here on: the reranker alone
        for query in QUERIES:
            index.search(query, **options)
        stages: dict[str, list[float]] = {}
        inside, shares = [], []
        for query in queries:
            watch.spans.clear()
            took = index.search(query, **options).took_ms
            inside.append(covered(watch.spans) * 1000)
            shares.append(inside[-1] / took["total"])
            for stage, milliseconds in took.items():
                stages.setdefault(stage, []).append(milliseconds)
        plans = [_rerank_plan(index, query, options) for query in queries]
    return {
        "queries": len(queries),
        "mode": "hybrid",
        "encoder_precision": encoding,
        "rerank_precision": plans[0].precision,
        "passages": median(plan.passages for plan in plans),
        "stages_ms": {stage: round(median(values), 2) for stage, values in stages.items()},
        "inside_ms": round(median(inside), 2),
        "share": round(median(shares), 3),
    }


def _rerank_plan(index: Index, query: str, options: Options) -> RerankPlan:
    """Return what the reranker did for a query, which a search tells only with all the rest."""
    explained: Options = {**options, "explain": True}
    plan = index.search(query, **explained).plan
    if plan is None or plan.rerank is None:
        raise AssertionError("a search that explains a reranker's scores has its plan")
    return plan.rerank
