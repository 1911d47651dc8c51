"""What a search asks for and what it answers with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict

from indexer.filters import Filter

Mode: TypeAlias = Literal["hybrid", "dense", "lexical"]
Fusion: TypeAlias = Literal["minmax", "rrf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A query with its options; `weight` is the dense list's share in the min-max sum.

    `mode` None is hybrid where the index has vectors, else lexical; `depth` is how many candidates
    each retrieval fetches; None for fusion, weight or depth is the index's default. `passages` is
    how many of a hit's passages come back; `count` asks for an exact `total_matches` without a
    filter too.
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
    the text too, not in the snippet.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The answer to one query; `took_ms` tells milliseconds by stage."""

    query: str
    mode: Mode
    hits: tuple[Hit, ...] = ()
    total_matches: int | None = None
    took_ms: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what `cloze search --json` prints."""
        return asdict(self)
