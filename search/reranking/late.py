"""Late interaction: every word of the query meets the token of a passage that is most like it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.index import Index
from indexer.token_projection import kept_tokens
from indexer.token_vectors import Codes, stored_codes
from search.reranking.reranker import Alignment, Candidate, CandidatePassage, Scored
from search.reranking.words import Word, aligned, weighed

if TYPE_CHECKING:
    from indexer.token_vectors import TokenCoder

# Of a document so many passages are read, the nearest to the query: a third one gained nothing.
PASSAGES = 2
# Passages that are scored at once, so that memory is bounded at any depth.
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class _Query:
    """A query's codes, as float32 [tokens, dimension] of whole numbers, and its weighted words."""

    text: str
    codes: NDArray[np.float32]
    words: tuple[Word, ...]

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
    document scores as the best of its passages. Nothing is trained for it; its form was chosen on
    development sets.

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
    def passages(self) -> int:
        """How many passages of a document it reads."""
        return PASSAGES

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
        read = [candidate.passages for candidate in candidates]
        scores = self._scores(asked, [passage for passages in read for passage in passages])
        return [_best([next(scores) for _ in passages]) for passages in read]

    def align_all(self, query: str, candidates: Sequence[Candidate]) -> list[tuple[Alignment, ...]]:
        """Align the words of the query with each candidate's first passage, all at once.

        Raises:
            DamagedIndexError: stored token vectors are not what was written.
        """
        asked = self._ask(query)
        read = [candidate.passages[0] for candidate in candidates if candidate.passages]
        found = iter(self._aligned(asked, read))
        return [next(found) if candidate.passages else () for candidate in candidates]

    def _aligned(
        self, asked: _Query, passages: Sequence[CandidatePassage]
    ) -> Iterator[tuple[Alignment, ...]]:
        prompt = self._index.encoder.checkpoint.document_prompt
        offsets = self._index.encoder.token_offsets([prompt + each.text for each in passages])
        for passage, codes, places in zip(passages, self._codes(passages), offsets, strict=True):
            if not len(codes):
                yield ()
                continue
            cosines = asked.codes @ codes.astype(np.float32).T / self._coder.scale**2
            behind = [(max(a - len(prompt), 0), b - len(prompt)) for a, b in places]
            spans = [(a, b) for a, b in behind if b > a]
            terms = list(self._index.analyzer.tokens(passage.text))
            yield aligned(asked.text, asked.words, cosines, passage, terms, spans)

    def _ask(self, query: str) -> _Query:
        """Encode and weigh a query; the last one is remembered."""
        key = (query, self._index.data, self._index.sequence)
        if self._last is None or self._last[0] != key:
            self._last = key, self._asked(query)
        return self._last[1]

    def _asked(self, query: str) -> _Query:
        (tokens,) = self._index.encoder.query_tokens([query])
        # All words that the model does not know are one token, and would meet each other.
        unknown = self._index.encoder.unknown_id
        places = kept_tokens(tokens)
        known = [row for row, place in enumerate(places) if tokens.ids[place] != unknown]
        spans = [tokens.offsets[places[row]] for row in known]
        terms = list(self._index.analyzer.tokens(query))
        idf = self._index.lexical.idf({term.term for term in terms})
        codes = self._coder.codes(tokens)[known].astype(np.float32)
        return _Query(query, codes, weighed(spans, terms, idf))

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


def _best(scores: Sequence[float | None]) -> Scored:
    known = [(score, -place) for place, score in enumerate(scores) if score is not None]
    if not known:
        return Scored(score=None)
    score, place = max(known)
    return Scored(score=score, passage=-place)
