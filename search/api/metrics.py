"""What is counted, for Prometheus."""

from collections.abc import Mapping
from time import monotonic

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

# Seconds, from a lexical search to a time out.
_SECONDS = (
    0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0,
)  # fmt: skip
_FRESH = 60.0  # seconds
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters and histograms of one service; it is the service's observer, from any thread."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        """Count from zero, apart from whatever else counts in this process."""
        self._measured = -_FRESH
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "cloze_requests", "Answers by route and status", ("route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "cloze_request_seconds", "From the request's head to the end of its answer",
            ("route",), buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._stages = Histogram(
            "cloze_stage_seconds", "Stages of searches", ("stage",), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._waits = Histogram(
            "cloze_wait_seconds", "In a queue, before the work began", ("kind",),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._batches = Histogram(
            "cloze_batch_size", "What was done together", ("kind",), buckets=_SIZES,
            registry=registry,
        )  # fmt: skip
        self._tokens = Counter(
            "cloze_tokens", "Tokens read by the models", ("kind",), registry=registry
        )
        self._flying = Gauge(
            "cloze_requests_in_flight", "Accepted and not answered", ("kind",), registry=registry
        )
        self._refused = Counter(
            "cloze_errors", "Errors answered, by their code", ("code",), registry=registry
        )
        self._index = Gauge("cloze_index", "What the index holds", ("what",), registry=registry)

    def answered(self, route: str, status: int, seconds: float, code: str | None) -> None:
        """Count an answer; `code` is its error's, None without one."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if code is not None:
            self._refused.labels(code).inc()

    def flying(self, kinds: Mapping[str, int]) -> None:
        """Set how many requests are in flight, by kind."""
        for kind, count in kinds.items():
            self._flying.labels(kind).set(count)

    def stage(self, name: str, ms: float) -> None:
        """Hear how long a stage of a search took."""
        self._stages.labels(name).observe(ms / 1000)

    def batch(self, kind: str, size: int, tokens: int) -> None:
        """Hear what was done together, and of how many tokens it was."""
        self._batches.labels(kind).observe(size)
        self._tokens.labels(kind).inc(tokens)

    def wait(self, kind: str, seconds: float) -> None:
        """Hear how long something stood in a queue."""
        self._waits.labels(kind).observe(seconds)

    def index_is_old(self) -> bool:
        """Whether the index should be measured anew, which is not done for every scrape."""
        return monotonic() - self._measured > _FRESH

    def index(self, *, documents: int, passages: int, bytes: int) -> None:
        """Set what the index holds."""
        self._measured = monotonic()
        for what, size in (("documents", documents), ("passages", passages), ("bytes", bytes)):
            self._index.labels(what).set(size)

    def forget_index(self) -> None:
        """Leave out what the index held, where nobody can tell whether it still does."""
        self._index.clear()

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)
