"""Pseudo-labels: what a reranker, as a teacher, says of queries with passages."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TypeAlias

from search.reranking.crossencoder import CrossEncoder
from search.reranking.reranker import Candidate, CandidatePassage, Reranker

# A query with the passages that are to be scored for it.
Asked: TypeAlias = tuple[str, Sequence[str]]


def reranker_scores(reranker: Reranker, asked: Sequence[Asked]) -> list[list[float | None]]:
    """Return the score of each query's passages, in order; None where a reranker has none to give.

    It is the `scores` of an example, for MarginMSE, KL and distillation: its positives and then its
    negatives are the passages. A cross-encoder reads the pairs of all queries together.
    """
    if isinstance(reranker, CrossEncoder):
        pairs = [(query, passage) for query, passages in asked for passage in passages]
        scores = reranker.predict(pairs).tolist()
        ends = accumulate((len(passages) for _, passages in asked), initial=0)
        return [scores[start:end] for start, end in pairwise(ends)]
    return [
        [found.score for found in reranker.score(query, [_candidate(each) for each in passages])]
        for query, passages in asked
    ]


def _candidate(text: str) -> Candidate:
    passage = CandidatePassage(number=None, text=text, start=0, end=len(text))
    return Candidate(number=0, title="", passages=(passage,))
