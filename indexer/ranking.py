"""BM25's ranking at one commit of the postings, of all documents or of those that are allowed.

A filter acts in one of two ways that give the same documents. A small set of allowed documents is
a clause of the query: each of them costs a look into the dictionary of every segment. For a large
one the ranking of all is read on until it holds enough allowed documents, or ends.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

# Fetched beyond the depth, so that a tie at the cut is rarely asked for twice.
_SLACK = 64
# What an allowed document in the query costs, in hits that could be fetched in the same time:
# measured at a million documents, 14 microseconds to 0.8.
_CLAUSE_IN_HITS = 16
# A filtered ranking that was too short is read on to so many times its length.
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Candidates:
    """Documents with their scores, best first; ties at the end of the list are all there."""

    numbers: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one commit of the postings finds."""

    searcher: tantivy.Searcher
    schema: tantivy.Schema

    def best(
        self, terms: Sequence[str], depth: int, allowed: NDArray[np.int64] | None
    ) -> Candidates:
        """Return the documents that score among the best `depth`, ties at the cut included.

        `allowed`: distinct document numbers that may be found, or None for all.
        """
        query = self._any(terms)
        if allowed is None:
            return self._read(query, depth, depth + _SLACK, None)
        matching = self._at_most(terms)
        needed = self._needed(depth, len(allowed), matching)
        if len(allowed) * _CLAUSE_IN_HITS <= needed:
            return self._read(self._inside(query, allowed), depth, depth + _SLACK, None)
        return self._read(query, depth, needed, allowed)

    def count(self, terms: Sequence[str], allowed: NDArray[np.int64] | None) -> int:
        """Count the documents, of all or of the allowed, that hold any of the terms."""
        query = self._any(terms)
        matching = self._at_most(terms)
        if allowed is None or len(allowed) * _CLAUSE_IN_HITS <= matching:
            within = query if allowed is None else self._inside(query, allowed)
            found: Any = self.searcher.search(within, 1, count=True)  # the stubs lack its count
            return int(found.count)
        unscored = tantivy.Query.const_score_query(query, 0.0)
        numbers = self._hits(unscored, matching + 1).numbers
        return int(np.isin(numbers, allowed).sum())

    def frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """Return in how many documents each term is, the deleted ones included."""
        return {term: self.searcher.doc_freq("body", term) for term in terms}

    def numbers(self) -> NDArray[np.int64]:
        """Return the numbers of all documents that have postings."""
        return self._hits(tantivy.Query.all_query(), max(1, self.searcher.num_docs)).numbers

    def highest(self, field: str) -> int:
        """Return the highest value that a document has in a field of integers, 0 without any."""
        every = tantivy.Query.all_query()
        found = self.searcher.search(every, 1, count=False, order_by_field=field).hits
        return int(found[0][0]) if found else 0

    def _needed(self, depth: int, allowed: int, matching: int) -> int:
        """Estimate how much of a ranking holds `depth` allowed documents, were they at random."""
        share = max(1, self.searcher.num_docs) / max(1, allowed)
        return min(matching + 1, int((depth + _SLACK) * share * 1.1) + _SLACK)

    def _read(
        self, query: tantivy.Query, depth: int, limit: int, allowed: NDArray[np.int64] | None
    ) -> Candidates:
        """Read a ranking, at first `limit` of it, until nothing that follows can be among the best.

        All of a ranking are fewer hits than were asked for.
        """
        while True:
            hits = self._hits(query, limit)
            found = hits if allowed is None else _among(hits, allowed)
            enough = len(found.scores) >= depth and hits.scores[-1] < found.scores[depth - 1]
            if enough or len(hits.scores) < limit:
                return _cut(found, depth)
            limit *= 2 if allowed is None else _GROWTH

    def _hits(self, query: tantivy.Query, limit: int) -> Candidates:
        hits = self.searcher.search(query, limit, count=False).hits
        numbers = self.searcher.fast_field_values("number", [address for _, address in hits])
        return Candidates(
            np.array(numbers, dtype=np.int64),
            np.fromiter((score for score, _ in hits), dtype=float, count=len(hits)),
        )

    def _at_most(self, terms: Sequence[str]) -> int:
        """Return a number that the matching documents don't exceed."""
        return sum(self.frequencies(set(terms)).values())

    def _any(self, terms: Sequence[str]) -> tantivy.Query:
        if not terms:
            return tantivy.Query.empty_query()
        should = []
        for term, count in sorted(Counter(terms).items()):
            query = tantivy.Query.term_query(self.schema, "body", term, index_option="freq")
            weighted = tantivy.Query.boost_query(query, float(count)) if count > 1 else query
            should.append((tantivy.Occur.Should, weighted))
        return tantivy.Query.boolean_query(should)

    def _inside(self, query: tantivy.Query, allowed: NDArray[np.int64]) -> tantivy.Query:
        inside = tantivy.Query.term_set_query(self.schema, "number", allowed.tolist())
        return tantivy.Query.boolean_query(
            [
                (tantivy.Occur.Must, query),
                (tantivy.Occur.Must, tantivy.Query.const_score_query(inside, 0.0)),
            ]
        )


def _among(hits: Candidates, allowed: NDArray[np.int64]) -> Candidates:
    kept = np.isin(hits.numbers, allowed)
    return Candidates(hits.numbers[kept], hits.scores[kept])


def _cut(found: Candidates, depth: int) -> Candidates:
    """Leave the best `depth`, and what ties with the last of them."""
    if len(found.scores) <= depth:
        return found
    kept = found.scores >= found.scores[depth - 1]
    return Candidates(found.numbers[kept], found.scores[kept])
