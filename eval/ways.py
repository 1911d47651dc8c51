"""Several ways of searching an index, each measured on every query of a collection."""

from collections.abc import Sequence

import numpy as np

from eval.collections import Collection
from eval.judgements import Qrels
from eval.measures import cutoff, score
from eval.runs import Run
from eval.sweep import TOP, Counted, Values
from indexer.progress import Progress
from search.hits import Options
from search.index import Index
from search.runs import column


class Ways:
    """One pass over the queries of a collection by whole searches, rerankers included."""

    def __init__(self, index: Index, collection: Collection, measure: str) -> None:
        """Measure an index on a collection of its documents; `measure` is a canonical name."""
        self._index = index
        self._collection = collection
        self._measure = measure
        self._queries = Counted(collection)
        self.position = self._queries.position

    def run(self, ways: Sequence[Options], progress: Progress) -> Values:
        """Return the measure of every way for every query, in the order of both.

        All queries see one commit, and each reranker scores a document once a query.
        """
        top = cutoff(self._measure) or TOP
        asked: list[Options] = [{**way, "top": top} for way in ways]
        values = np.zeros((len(ways), len(self._collection.queries)))
        with self._index.reading():
            for place, query, text in self._queries.each(progress):
                values[:, place] = self._query(query, text, asked)
        return values

    def _query(self, query: str, text: str, ways: Sequence[Options]) -> list[float]:
        """Return one query's value of every way, each being a query of its own to `score`."""
        answers = self._index.rank_each(text, ways)
        ranked = {
            str(way): [(column(document), value) for document, value in answer]
            for way, answer in enumerate(answers)
        }
        qrels: Qrels = dict.fromkeys(ranked, self._collection.qrels[query])
        found = score(qrels, Run(name="ways", ranked=ranked), [self._measure])[self._measure]
        return [found[way] for way in ranked]
