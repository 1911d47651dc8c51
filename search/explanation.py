"""What an explained answer says of its scores and of what ran."""

from collections.abc import Mapping
from dataclasses import dataclass

from indexer.contributions import TermScore
from indexer.plan import Plan
from search.hits import ScoredPassage, Span, Stage
from search.reranking.reranker import Alignment


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a stage adds to a hit's score: `value`.

    That is weight * normalised in a min-max sum, 1 / (60 + rank) in reciprocal ranks, and the
    score itself where only one stage ran.
    """

    stage: Stage
    rank: int
    score: float
    normalised: float | None
    weight: float | None
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """How the first stages' score and the reranker's became a hit's `score`.

    In the pool that is (1 - weight) * first_normalised + weight * rerank_normalised; behind it,
    where `rerank_normalised` is None, it is first_normalised alone. `rerank` is the reranker's own
    score, and `passage` what it is of, as code points of the text; both are None for a document
    that it did not score.
    """

    first: float
    first_normalised: float
    weight: float
    rerank: float | None
    rerank_normalised: float | None
    passage: Span | None
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a hit's score came about.

    `way` is the hit's rank in each stage that ran, None where the stage did not have it. The values
    of `parts` add up to the score exactly, or with a reranker to the `first` of `final`; a stage
    that did not have the document among its candidates has no part. The scores of `terms`, highest
    first, add up to the lexical part's score but for float32 rounding: they differ by less than a
    millionth of it. `passage` is the one that the dense part's score is of. `alignments` are of the
    query's words with the reranker's passage, else the nearest one; none without vectors.
    """

    way: Mapping[str, int | None]
    parts: tuple[Part, ...]
    terms: tuple[TermScore, ...]
    passage: ScoredPassage | None
    final: Final | None = None
    alignments: tuple[Alignment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankPlan:
    """What a reranker did for a query: it read `passages` of the first `depth` documents."""

    name: str
    depth: int
    passages: int
    weight: float
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What ran for a query; `depth` is how many candidates each retrieval was asked for.

    `candidates` counts documents by stage: lexical, dense, and fused, the pool of both. `passed` is
    how many documents the filter passes, None without one. `vectors` is None where none was
    searched; its `recall` estimates the share of the exact best that was found. `rerank` is None
    where no reranker ran.
    """

    fusion: str | None
    depth: int
    candidates: Mapping[str, int]
    passed: int | None
    vectors: Plan | None
    rerank: RerankPlan | None = None
