"""The words of a query: their weights in late interaction, and what they meet in a passage."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.analysis import Token
from search.reranking.reranker import Alignment, CandidatePassage

# Code points [start, end) of each token.
Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the query: where it stands, its tokens' rows, and the weight of each of these."""

    start: int
    end: int
    rows: tuple[int, ...]
    weight: float


def weighed(spans: Spans, terms: Sequence[Token], idf: dict[str, float]) -> tuple[Word, ...]:
    """Group a query's tokens by the word that they are of; weights of all tokens add up to 1.

    Without any term each token is a word.
    """
    owners = [_term_at(terms, span) for span in spans]
    if all(owner is None for owner in owners):
        return tuple(Word(*span, (row,), 1 / len(spans)) for row, span in enumerate(spans))
    pieces = Counter(owner for owner in owners if owner is not None)
    total = sum(math.sqrt(idf[terms[owner].term]) for owner in pieces)
    return tuple(
        Word(
            terms[owner].start,
            terms[owner].end,
            tuple(row for row, each in enumerate(owners) if each == owner),
            math.sqrt(idf[terms[owner].term]) / count / total,
        )
        for owner, count in pieces.items()
    )


def aligned(
    query: str,
    words: Sequence[Word],
    cosines: NDArray[np.float32],
    passage: CandidatePassage,
    terms: Sequence[Token],
    spans: Spans,
) -> tuple[Alignment, ...]:
    """Align words by the cosines of all tokens, [query's, passage's].

    A word's similarity is the mean of its tokens' best ones, and its place the word around the
    best of them, so weight * similarity adds up to the passage's score. `terms` and `spans` are
    the passage's own.
    """
    best, at = cosines.max(axis=1), cosines.argmax(axis=1)
    found = []
    for word in words:
        rows = list(word.rows)
        start, end = _place(passage, terms, spans[at[rows[int(best[rows].argmax())]]])
        found.append(
            Alignment(
                word=query[word.start : word.end],
                start=start,
                end=end,
                similarity=float(best[rows].mean()),
                weight=word.weight * len(rows),
            )
        )
    return tuple(found)


def _term_at(terms: Sequence[Token], span: tuple[int, int]) -> int | None:
    """Return the place of the first term that a span of code points overlaps."""
    start, end = span
    return next(
        (place for place, term in enumerate(terms) if start < term.end and term.start < end), None
    )


def _place(
    passage: CandidatePassage, terms: Sequence[Token], span: tuple[int, int]
) -> tuple[int, int]:
    """Return the word around a token, as code points of the document's text; 0, 0 in the title."""
    owner = _term_at(terms, span)
    start, end = span if owner is None else terms[owner][1:]
    if start < passage.lead:
        return 0, 0
    shift = passage.start - passage.lead
    return start + shift, end + shift
