"""What stands behind `--rerank`: candidates with their best passages in, scores out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatePassage:
    """A passage as the encoder reads it: the title, a space, and text[start:end] of its document.

    `number` is the stored passage's, None where the passage was cut for this query alone.
    """

    number: int | None
    text: str
    start: int
    end: int

    @property
    def lead(self) -> int:
        """How many code points of `text` stand before the document's own: the title's.

        A place p >= lead of `text` is place start + p - lead of the document's text.
        """
        return len(self.text) - (self.end - self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A document of the pool by its internal number, with its best passages, the best first.

    A document without any text has no passages.
    """

    number: int
    title: str
    passages: tuple[CandidatePassage, ...]

    def led_by(self, place: int) -> "Candidate":
        """Return the same with one of its passages in front."""
        if not self.passages:
            return self
        others = self.passages[:place] + self.passages[place + 1 :]
        return replace(self, passages=(self.passages[place], *others))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A candidate's score: the best of its passages', of which `passage` is the place.

    `score` is None for a candidate without passages.
    """

    score: float | None
    passage: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """A word of the query and the place of the document's text that it meets best.

    `start` and `end` are code points of the document's text, both 0 where the word meets the title;
    `similarity` is a cosine, `weight` the word's share of the score.
    """

    word: str
    start: int
    end: int
    similarity: float
    weight: float


class Reranker(Protocol):
    """A model that reads query and passage together."""

    @property
    def name(self) -> str:
        """Its name: "late", or the checkpoint's."""

    @property
    def content_hash(self) -> str:
        """A hash of all but our code that its scores depend on."""

    @property
    def precision(self) -> str:
        """The number format that it runs in."""

    @property
    def passages(self) -> int:
        """How many passages of a document it reads, the best first."""

    def score(self, query: str, candidates: Sequence[Candidate]) -> list[Scored]:
        """Score candidates, in their order; a score depends on query and passages alone."""


@runtime_checkable
class Calibrated(Protocol):
    """A reranker that may know how probable relevance is at a score."""

    def probability(self, score: float) -> float | None:
        """Return the probability at one of its scores, None where it was never calibrated."""


@runtime_checkable
class Aligning(Protocol):
    """A reranker that can tell which words of a query meet which of a passage."""

    def align_all(self, query: str, candidates: Sequence[Candidate]) -> list[tuple[Alignment, ...]]:
        """Align the query with each candidate's first passage, by the query's words in order.

        A candidate without passages has no alignments.
        """
