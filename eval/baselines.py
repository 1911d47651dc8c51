"""The textbook baseline: the package rank-bm25 over our analyzer's terms, all of it in memory."""

from collections.abc import Iterable

import numpy as np

from indexer.analysis import Analyzer
from indexer.documents import Document
from indexer.errors import ClozeError

# The names of rank-bm25's classes; each keeps its own default k1 and b.
VARIANTS = {
    "rank-bm25": "BM25Okapi",
    "rank-bm25-l": "BM25L",
    "rank-bm25-plus": "BM25Plus",
}


class RankBM25:
    """Every document of an index scored against every query.

    Documents without any word of the query are not ranked, though some variants score them above
    0; equal scores stand by id.
    """

    def __init__(self, variant: str, documents: Iterable[Document], analyzer: Analyzer) -> None:
        """Count the terms of title and text; `variant` is a key of `VARIANTS`."""
        import rank_bm25

        self._analyzer = analyzer
        ids: list[str] = []
        terms: list[list[str]] = []
        for document in sorted(documents, key=lambda each: each.id):
            ids.append(document.id)
            terms.append(analyzer.terms(document.title) + analyzer.terms(document.text))
        if not any(terms):
            raise ClozeError(
                f"{variant} needs documents with words; these {len(ids)} have none: index some, or "
                "leave it out of --systems"
            )
        self._ids = ids
        self._scorer = getattr(rank_bm25, VARIANTS[variant])(terms)

    def rank(self, query: str, top: int) -> list[tuple[str, float]]:
        """Return the best documents by (id, score)."""
        terms = self._analyzer.terms(query)
        if not terms:
            return []
        scores = np.asarray(self._scorer.get_scores(terms), dtype=np.float64)
        wanted = set(terms)
        held = [not wanted.isdisjoint(counts) for counts in self._scorer.doc_freqs]
        rows = np.flatnonzero(held)
        # Rows are in the order of ids, so a stable sort keeps ties in it.
        best = rows[np.argsort(-scores[rows], kind="stable")[:top]]
        return [(self._ids[row], float(scores[row])) for row in best.tolist()]
