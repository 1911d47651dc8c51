"""The documents of a page of the ranking, read and made into hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from indexer.documents import Document
from indexer.index import Index
from search.fusion import Ranking
from search.highlight import highlight
from search.hits import Hit, Place, Request, RerankPlace, ScoredPassage, Span
from search.integrity import intact, intact_window
from search.retrieval import Retrieved

_STAGES = ("lexical", "dense", "fused")
# A hit's best passages, the best first: numbers and scores.
_Passages = list[tuple[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Documents in their order with their scores, the first stages that ran, and what reranked.

    `reranked` has the places of the documents that a reranker scored, None where none ran;
    `probabilities` are of those for which they can be told.
    """

    numbers: Sequence[int]
    scores: Sequence[float]
    stages: Mapping[str, Ranking]
    reranked: Mapping[int, RerankPlace] | None
    probabilities: Mapping[int, float] = field(default_factory=dict)


def read_hits(index: Index, found: Retrieved, request: Request, page: Page) -> tuple[Hit, ...]:
    """Read a page's documents, and find in each the query's words and its best passages.

    Raises:
        DamagedIndexError: a document, or the place of a passage, is not what was written.
    """
    documents = intact(index, page.numbers)
    places = {
        stage: ranking.places(page.numbers, index.store.ids)
        for stage, ranking in page.stages.items()
    }
    windows = _windows(index, found, request, documents)
    terms = frozenset(index.analyzer.terms(request.query) if request.highlight else ())
    hits = []
    ranked = zip(page.numbers, page.scores, strict=True)
    for rank, (number, score) in enumerate(ranked, request.offset + 1):
        stages: dict[str, Place | None] = {
            stage: Place(*place) if (place := places.get(stage, {}).get(number)) else None
            for stage in _STAGES
        }
        if page.reranked is not None:
            stages["rerank"] = page.reranked.get(number)
        document, passages = documents[number], windows[number]
        start, end = _widest(document, passages)
        shown = highlight(document.text, terms, index.analyzer, start=start, end=end)
        if not passages:
            start, end = shown.snippet_start, shown.snippet_start + len(shown.snippet)
        hits.append(
            Hit(
                rank=rank,
                id=document.id,
                score=score,
                title=document.title,
                snippet=shown.snippet,
                snippet_start=shown.snippet_start,
                highlights=tuple(Span(*span) for span in shown.highlights),
                passage=Span(start, end),
                passages=passages,
                metadata=document.metadata,
                stages=stages,
                probability=page.probabilities.get(number),
            )
        )
    return tuple(hits)


def _widest(document: Document, passages: Sequence[ScoredPassage]) -> tuple[int, int]:
    """Return where a snippet may come from: the best passage, or the whole text without any."""
    return (passages[0].start, passages[0].end) if passages else (0, len(document.text))


def _windows(
    index: Index, found: Retrieved, request: Request, documents: Mapping[int, Document]
) -> dict[int, tuple[ScoredPassage, ...]]:
    """Return each hit's best passages, which need the query's vector."""
    scored = _scored(index, found, request.passages, list(documents))
    places = index.store.windows([passage for pairs in scored.values() for passage, _ in pairs])
    shown: dict[int, tuple[ScoredPassage, ...]] = {}
    for number, document in documents.items():
        passages = []
        for passage, score in scored.get(number, ()):
            start, end = intact_window(index, document, places.get(passage))
            passages.append(ScoredPassage(start=start, end=end, score=score))
        shown[number] = tuple(passages)
    return shown


def _scored(
    index: Index, found: Retrieved, count: int, numbers: Sequence[int]
) -> dict[int, _Passages]:
    if found.vector is None:
        return {}
    # Of the dense candidates the search has told the best passage.
    known = _best(found, numbers) if count == 1 else {}
    return {
        number: known.get(number) or index.dense.passages(number, found.vector)[:count]
        for number in numbers
    }


def _best(found: Retrieved, numbers: Sequence[int]) -> dict[int, _Passages]:
    if found.passages is None:
        return {}
    candidates, scores = found.candidates["dense"]
    rows = np.flatnonzero(np.isin(candidates, numbers, kind="sort"))
    best = zip(found.passages[rows].tolist(), scores[rows].tolist(), strict=True)
    return {number: [pair] for number, pair in zip(candidates[rows].tolist(), best, strict=True)}
