"""What an explained answer says of its scores and of what ran."""

from collections.abc import Mapping
from dataclasses import dataclass

from indexer.contributions import TermScore
from indexer.plan import Plan
from search.hits import ScoredPassage, Stage


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
class Explanation:
    """How a hit's score came about.

    The values of `parts` add up to it exactly; a stage that did not have the document among its
    candidates has no part. The scores of `terms`, highest first, add up to the lexical part's
    score but for float32 rounding: they differ by less than a millionth of it. `passage` is the one
    that the dense part's score is of.
    """

    parts: tuple[Part, ...]
    terms: tuple[TermScore, ...]
    passage: ScoredPassage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What ran for a query; `depth` is how many candidates each retrieval was asked for.

    `candidates` counts documents by stage: lexical, dense, and fused, the pool of both. `passed` is
    how many documents the filter passes, None without one. `vectors` is None where none was
    searched; its `recall` estimates the share of the exact best that was found.
    """

    fusion: str | None
    depth: int
    candidates: Mapping[str, int]
    passed: int | None
    vectors: Plan | None
