"""Late interaction: every word of the query meets the token of a passage that is most like it."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.analysis import Token
from indexer.index import Index
from indexer.token_projection import kept_tokens
from indexer.token_vectors import Codes, stored_codes
from search.reranking.reranker import Alignment, Candidate, CandidatePassage, Scored

if TYPE_CHECKING:
    from indexer.token_vectors import TokenCoder

# Of a document so many passages are read, the nearest to the query: a third one gained nothing.
_PASSAGES = 2
# Passages that are scored at once, so that memory is bounded at any depth.
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the query: where it stands, its tokens' rows, and the weight of each of these."""

    start: int
    end: int
    rows: tuple[int, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class _Query:
    """A query's codes, as float32 [tokens, dimension] of whole numbers, and its weighted words."""

    text: str
    codes: NDArray[np.float32]
    words: tuple[_Word, ...]

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weight of each token, adding up to 1: [tokens]."""
        weights = np.zeros(len(self.codes))
        for word in self.words:
            weights[list(word.rows)] = word.weight
        return weights


class LateInteraction:
    """MaxSim over token vectors of the index's own encoder (Khattab and Zaharia, 2020, "ColBERT").

    score(query, passage) = sum over the query's tokens t of w_t * max over the passage's tokens j
    of q_t . d_j, with sum w_t = 1. w_t goes by the word that t is of: the root of its term's idf,
    divided by the word's tokens; 0 where it has no term. Without any term all weights are equal. A
    document scores as the better of its first two passages. Nothing is trained for it; its form
    was chosen on development sets.

    Vectors are in codes on both sides, and products of whole numbers are exact in float32, so a
    score depends on query and passage alone, and is the same from stored codes as from fresh ones.
    """

    def __init__(self, index: Index) -> None:
        """Use an index's encoder, which is loaded at the first score."""
        self._index = index
        self._last: tuple[tuple[object, ...], _Query] | None = None

    @property
    def name(self) -> str:
        """The name that asks for it."""
        return "late"

    @property
    def content_hash(self) -> str:
        """A hash of the encoder and of the matrix that its token vectors are projected by."""
        return f"{self._index.encoder.checkpoint.content_hash}-{self._coder.content_hash}"

    @property
    def precision(self) -> str:
        """The number format that the encoder runs in."""
        return self._index.encoder.precision

    @property
    def _coder(self) -> "TokenCoder":
        return self._index.token_coder

    def score(self, query: str, candidates: Sequence[Candidate]) -> list[Scored]:
        """Score candidates, in their order; None where query or candidate has no tokens.

        Raises:
            DamagedIndexError: stored token vectors are not what was written.
        """
        asked = self._ask(query)
        if not asked.words:
            return [Scored(score=None) for _ in candidates]
        read = [candidate.passages[:_PASSAGES] for candidate in candidates]
        scores = self._scores(asked, [passage for passages in read for passage in passages])
        return [_best([next(scores) for _ in passages]) for passages in read]

    def align(self, query: str, candidate: Candidate) -> tuple[Alignment, ...]:
        """Align the words of the query with the candidate's first passage.

        A word's similarity is the mean of its tokens' best ones, and its place the word around the
        best of them, so weight * similarity adds up to the passage's score.
        """
        if not candidate.passages:
            return ()
        asked, passage = self._ask(query), candidate.passages[0]
        (tokens,) = self._index.encoder.document_tokens([passage.text])
        codes = self._coder.codes(tokens)
        if not len(codes):
            return ()
        products = asked.codes @ codes.astype(np.float32).T / self._coder.scale**2
        spans = [tokens.offsets[place] for place in kept_tokens(tokens)]
        terms = list(self._index.analyzer.tokens(passage.text))
        best, at = products.max(axis=1), products.argmax(axis=1)
        found = []
        for word in asked.words:
            rows = list(word.rows)
            span = spans[at[rows[int(best[rows].argmax())]]]
            found.append(
                Alignment(
                    word=asked.text[word.start : word.end],
                    similarity=float(best[rows].mean()),
                    weight=word.weight * len(rows),
                    **_place(passage, terms, span),
                )
            )
        return tuple(found)

    def _ask(self, query: str) -> _Query:
        """Encode and weigh a query; the last one is remembered."""
        key = (query, self._index.data, self._index.sequence)
        if self._last is None or self._last[0] != key:
            self._last = key, self._asked(query)
        return self._last[1]

    def _asked(self, query: str) -> _Query:
        (tokens,) = self._index.encoder.query_tokens([query])
        spans = [tokens.offsets[place] for place in kept_tokens(tokens)]
        terms = list(self._index.analyzer.tokens(query))
        idf = self._index.lexical.idf({term.term for term in terms})
        return _Query(
            query, self._coder.codes(tokens).astype(np.float32), _words(spans, terms, idf)
        )

    def _scores(
        self, asked: _Query, passages: Sequence[CandidatePassage]
    ) -> Iterator[float | None]:
        weights = asked.weights
        rows = np.flatnonzero(weights)
        for start in range(0, len(passages), _AT_ONCE):
            codes = self._codes(passages[start : start + _AT_ONCE])
            found = best_products(asked.codes[rows], codes)
            # By rows, each summed alone: a product of matrices would sum in an order of its own.
            scores = (found * (weights[rows] / self._coder.scale**2)).sum(axis=1)
            yield from (float(each) if np.isfinite(each) else None for each in scores)

    def _codes(self, passages: Sequence[CandidatePassage]) -> list[Codes]:
        """Return the codes of passages: stored ones, else from a pass of the encoder."""
        numbers = [each.number for each in passages if each.number is not None]
        stored = stored_codes(self._index, numbers)
        missing = [each.text for each in passages if each.number not in stored]
        fresh = iter(self._coder.encode(self._index.encoder, missing) if missing else [])
        return [stored[each.number] if each.number in stored else next(fresh) for each in passages]


def best_products(query: NDArray[np.float32], passages: Sequence[Codes]) -> NDArray[np.float64]:
    """Return, of each passage and token of the query, the greatest product: [passages, tokens].

    It is -inf where a passage has no tokens.
    """
    lengths = np.array([len(each) for each in passages])
    found = np.full((len(passages), len(query)), -np.inf)
    if not len(query) or not lengths.any():
        return found
    products = query @ np.concatenate(list(passages)).astype(np.float32).T  # [tokens, all tokens]
    starts = (np.cumsum(lengths) - lengths)[lengths > 0]
    found[lengths > 0] = np.maximum.reduceat(products, starts, axis=1).T
    return found


def _words(
    spans: Sequence[tuple[int, int]], terms: Sequence[Token], idf: dict[str, float]
) -> tuple[_Word, ...]:
    """Group a query's tokens by the word that they are of; weights of all tokens add up to 1.

    Without any term each token is a word.
    """
    owners = [_term_at(terms, span) for span in spans]
    if all(owner is None for owner in owners):
        return tuple(_Word(*span, (row,), 1 / len(spans)) for row, span in enumerate(spans))
    pieces = Counter(owner for owner in owners if owner is not None)
    total = sum(math.sqrt(idf[terms[owner].term]) for owner in pieces)
    return tuple(
        _Word(
            terms[owner].start,
            terms[owner].end,
            tuple(row for row, each in enumerate(owners) if each == owner),
            math.sqrt(idf[terms[owner].term]) / count / total,
        )
        for owner, count in pieces.items()
    )


def _term_at(terms: Sequence[Token], span: tuple[int, int]) -> int | None:
    """Return the place of the first term that a span of code points overlaps."""
    start, end = span
    return next(
        (place for place, term in enumerate(terms) if start < term.end and term.start < end), None
    )


def _best(scores: Sequence[float | None]) -> Scored:
    known = [(score, -place) for place, score in enumerate(scores) if score is not None]
    if not known:
        return Scored(score=None)
    score, place = max(known)
    return Scored(score=score, passage=-place)


def _place(
    passage: CandidatePassage, terms: Sequence[Token], span: tuple[int, int]
) -> dict[str, int]:
    """Return the word around a token, as code points of the document's text; 0 in the title."""
    owner = _term_at(terms, span)
    start, end = span if owner is None else terms[owner][1:]
    if start < passage.lead:
        return {"start": 0, "end": 0}
    shift = passage.start - passage.lead
    return {"start": start + shift, "end": end + shift}
