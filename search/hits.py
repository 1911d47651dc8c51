"""What a search asks for and what it answers with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from indexer.filters import Filter
from indexer.filters.tree import Scalar

if TYPE_CHECKING:
    from search.explanation import Explanation, SearchPlan

Mode: TypeAlias = Literal["hybrid", "dense", "lexical"]
Fusion: TypeAlias = Literal["minmax", "rrf"]
Stage: TypeAlias = Literal["lexical", "dense"]

# What a record has where it was asked for, or can be told.
_NOT_ALWAYS = frozenset({"facets", "plan", "duplicates", "explanation", "probability"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A query with its options; `weight` is the dense list's share in the min-max sum.

    `mode` None is hybrid where the index has vectors, else lexical; `depth` is how many candidates
    each retrieval fetches; None for fusion, weight or depth is the index's default. `passages` is
    how many of a hit's passages come back; `count` asks for an exact `total_matches` without a
    filter too. `facets` are metadata fields to count values of, `collapse` folds near-duplicates
    into the best of them, `explain` asks how every score came about; without `highlight` a hit has
    the beginning of its best passage as its snippet, and no highlights.

    `rerank` is none, late or a cross-encoder, None the index's default; it reads the first
    `rerank_depth` documents of the ranking, whatever `top`, or as many as fit into
    `rerank_budget_ms`; `rerank_weight` is the share of its scores. None for these is the index's
    default for this reranker, else 50, and 0.6 for late or 0.7 for a cross-encoder.
    """

    query: str
    top: int = 10
    offset: int = 0
    mode: Mode | None = None
    fusion: Fusion | None = None
    weight: float | None = None
    depth: int | None = None
    filter: Filter | None = None
    passages: int = 1
    count: bool = False
    facets: tuple[str, ...] = ()
    collapse: bool = False
    explain: bool = False
    highlight: bool = True
    rerank: str | None = None
    rerank_depth: int | None = None
    rerank_budget_ms: float | None = None
    rerank_weight: float | None = None


class Options(TypedDict, total=False):
    """The options of `Request` by keyword, for the library."""

    top: int
    offset: int
    mode: Mode | None
    fusion: Fusion | None
    weight: float | None
    depth: int | None
    passages: int
    count: bool
    facets: tuple[str, ...]
    collapse: bool
    explain: bool
    highlight: bool
    rerank: str | None
    rerank_depth: int | None
    rerank_budget_ms: float | None
    rerank_weight: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """Code points [start, end) of the document's text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage had a document: its rank from 1, and its score."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class RerankPlace(Place):
    """Where the reranker had a document: its rank in the pool by the reranker's own score.

    `weight` is the share of the rerank scores in the final one.
    """

    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPassage:
    """A passage of a hit: code points [start, end) and its dense score."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A document that answers a query, with its way through the stages.

    `snippet_start` is where in the document's text the snippet begins; highlights are places in
    the text too, not in the snippet. `duplicates` are the ids of the near-duplicates that were
    folded into the hit, those that stood before the last place of the page; None where that was not
    asked for, as is `explanation`. `stages` has a `rerank`, a RerankPlace, where a reranker ran;
    None for a document that it did not score. `probability` is how probable it is that the document
    is relevant, by the calibration of the cross-encoder that scored it; None without one.
    """

    rank: int
    id: str
    score: float
    title: str
    snippet: str
    snippet_start: int
    highlights: tuple[Span, ...]
    passage: Span
    passages: tuple[ScoredPassage, ...]
    metadata: Mapping[str, Any]
    stages: Mapping[str, Place | None]
    duplicates: tuple[str, ...] | None = None
    explanation: "Explanation | None" = None
    probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetValue:
    """A value of a metadata field, and how many of the documents counted have it."""

    value: Scalar
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """The most frequent values of metadata fields among a query's candidates.

    The candidates are what the retrievals fetched, together `counted` documents, and not all that
    match. Of a list each element counts.
    """

    counted: int
    fields: Mapping[str, tuple[FacetValue, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The answer to one query; `took_ms` tells milliseconds by stage.

    `notices` are lines for who asked, such as a filter that can match nothing; `facets` and `plan`
    are None where they were not asked for. `index_version` names the commit that was read.
    """

    query: str
    mode: Mode
    hits: tuple[Hit, ...] = ()
    total_matches: int | None = None
    took_ms: Mapping[str, float] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    facets: Facets | None = None
    plan: "SearchPlan | None" = None
    index_version: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what `cloze search --json` prints, without what was not asked for."""
        whole = asdict(self)
        for record in (whole, *whole["hits"]):
            for name in _NOT_ALWAYS & record.keys():
                if record[name] is None:
                    del record[name]
        return whole
