"""What a service is started with."""

from dataclasses import dataclass, field

# Writes that wait together share a commit, so that more of them may wait than of what each takes
# time of its own.
SHARING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one request may ask for; what goes beyond is refused by name.

    `body` is in bytes, `query` and `text` in code points, `top` in hits; `reach` is how far offset
    and top go together, `batch` queries of one request, `texts` inputs to embed or to rank,
    `documents` those of one write, `filter_depth` nested conditions and `filter_terms` conditions
    and values together, `facets` fields, `passages` of one hit.
    """

    body: int = 8 << 20
    query: int = 8_192
    text: int = 1 << 20
    top: int = 1_000
    reach: int = 10_000
    batch: int = 64
    texts: int = 1_024
    documents: int = 1_000
    filter_depth: int = 16
    filter_terms: int = 1_000
    rerank_depth: int = 200
    facets: int = 16
    passages: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How a service searches, and how much of it may go on at once.

    `rerank` is the reranker that it serves (late, a cross-encoder's checkpoint, or none), `queue`
    how many requests of a kind may be in flight, of writes four times as many, `timeout` how many
    seconds one may take, `batch_queries` and `batch_tokens` how much is encoded together at most.
    """

    rerank: str | None = None
    device: str = "cpu"
    threads: int | None = None
    precision: str | None = None
    queue: int = 32
    timeout: float = 30.0
    batch_queries: int = 32
    batch_tokens: int = 4_096
    limits: Limits = field(default_factory=Limits)
