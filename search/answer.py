"""One query past its first stages: fusion, the page, and what else was asked about the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from indexer.index import Index
from search.fusion import Ranking, min_max, rank, reciprocal_rank
from search.hits import Facets, Hit, Mode, Request, Results
from search.page import Page, read_hits
from search.reranking.opening import LATE, NONE
from search.retrieval import Retrieved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from search.explanation import SearchPlan
    from search.reranking.loaded import Rerankers
    from search.reranking.reading import Reading
    from search.reranking.reranker import Alignment
    from search.reranking.stage import Reranked


def mode_of(request: Request) -> Mode:
    """Return the mode of a request that has been resolved."""
    if request.mode is None:
        raise AssertionError("the request was not resolved")
    return request.mode


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The rows of the ranking that make the page; duplicates by row, None where not asked for."""

    rows: Sequence[int]
    duplicates: Mapping[int, Sequence[int]] | None = None


class Answer:
    """What the stages make of one query; what a stage leaves for the next are its attributes."""

    def __init__(
        self, index: Index, found: Retrieved, request: Request, rerankers: "Rerankers"
    ) -> None:
        """Answer a resolved request from what its first stages found."""
        self._index = index
        self._found = found
        self._request = request
        self._mode = mode_of(request)
        self._last = request.offset + request.top
        self._rerankers = rerankers
        # Near-duplicates, or a reranker, may bring a document from any place to the page or out of
        # it, so all of them must be settled.
        reranks = request.rerank not in (None, NONE)
        self._settle = None if request.collapse or reranks else self._last
        self._stages: dict[str, Ranking] = {}
        self._reranked: Reranked | None = None

    def pairs(self) -> list[tuple[str, float]]:
        """Return the page as (id, score)."""
        final = self._rerank(self._rank())
        rows = list(self._choose(final).rows)
        numbers = final.numbers[rows].tolist()
        ids = self._index.store.ids(numbers)
        scores = final.scores[rows].tolist()
        return [(ids[number], score) for number, score in zip(numbers, scores, strict=True)]

    def results(self) -> Results:
        """Return the page with its documents, and what else was asked for."""
        request, found = self._request, self._found
        with found.timed("fusion"):
            first = self._rank()
        final = self._rerank(first)
        with found.timed("documents"):
            chosen = self._choose(final)
            hits = self._hits(final, chosen)
        if request.explain:
            hits = self._explained(final.numbers[list(chosen.rows)].tolist(), hits)
        results = Results(
            query=request.query, mode=self._mode, hits=hits, total_matches=self._total(),
            facets=self._facets() if request.facets else None,
            plan=self._plan() if request.explain else None,
            notices=() if self._reranked is None else self._reranked.notices(request),
            index_version=self._index.version,
        )  # fmt: skip
        found.took["total"] = (perf_counter() - found.begin) * 1000
        return replace(
            results, took_ms={stage: round(took, 3) for stage, took in found.took.items()}
        )

    def _rank(self) -> Ranking:
        wanted = ("lexical", "dense") if self._mode == "hybrid" else (self._mode,)
        self._stages = {stage: self._cut(stage) for stage in wanted}
        if self._mode == "hybrid":
            self._stages["fused"] = self._fuse()
            return self._stages["fused"]
        return self._stages[self._mode]

    def _cut(self, stage: str) -> Ranking:
        """Put a stage's candidates in order, as far as anything looks at it."""
        settle = self._settle
        if self._mode == "hybrid":
            settle = None if self._request.fusion == "rrf" else 0
        numbers, scores = self._found.candidates[stage]
        ids = self._index.store.ids
        return rank(numbers, scores, ids, depth=self._request.depth, settle=settle)

    def _fuse(self) -> Ranking:
        lexical, dense = self._stages["lexical"], self._stages["dense"]
        ids = self._index.store.ids
        if self._request.fusion == "rrf":
            return reciprocal_rank(lexical, dense, ids, self._settle)
        return min_max(lexical, dense, self._request.weight or 0.0, ids, self._settle)

    def _rerank(self, first: Ranking) -> Ranking:
        """Put the first documents of the ranking in order anew, where a reranker was asked for."""
        request, found = self._request, self._found
        if request.rerank in (None, NONE):
            return first
        from search.reranking.stage import Reranked, pool_depth

        with found.timed("rerank"):
            loaded, reading = self._rerankers.get(request.rerank), self._reading()
            self._reranked = Reranked(
                reading, loaded, first, self._index.store.ids,
                depth=pool_depth(reading, loaded, first, request),
                weight=request.rerank_weight or 0.0,
            )  # fmt: skip
        return self._reranked.final

    def _reading(self) -> "Reading":
        """Return what was read for this query; without a vector's part, as a lexical answer is."""
        from search.reranking.reading import Reading

        found = self._found
        by_vector = self._mode != "lexical"
        if by_vector not in found.readings:
            vector = found.vector if by_vector else None
            found.readings[by_vector] = Reading(self._index, self._request.query, vector)
        return found.readings[by_vector]

    def _choose(self, final: Ranking) -> _Chosen:
        first = self._request.offset
        if not self._request.collapse:
            return _Chosen(range(first, min(self._last, len(final.numbers))))
        from search.collapse import collapse

        kept = collapse(final.numbers.tolist(), self._last, self._index.store.sketches)
        return _Chosen(kept.rows[first:], kept.duplicates)

    def _hits(self, final: Ranking, chosen: _Chosen) -> tuple[Hit, ...]:
        rows = list(chosen.rows)
        numbers = final.numbers[rows].tolist()
        page = Page(
            numbers=numbers,
            scores=final.scores[rows].tolist(),
            stages=self._stages,
            reranked=None if self._reranked is None else self._reranked.places(numbers),
            probabilities={} if self._reranked is None else self._reranked.probabilities(numbers),
        )
        hits = read_hits(self._index, self._found, self._request, page)
        if chosen.duplicates is not None:
            hits = self._with_duplicates(hits, final, chosen.rows, chosen.duplicates)
        return hits

    def _explained(self, numbers: Sequence[int], hits: Sequence[Hit]) -> tuple[Hit, ...]:
        from search.explain import explain

        with self._found.timed("alignments"):
            alignments = self._alignments(numbers)
        with self._found.timed("explanations"):
            explanations = explain(
                self._index.lexical, self._request, self._stages, numbers, hits,
                finals={} if self._reranked is None else self._reranked.explain(numbers),
                alignments=alignments,
            )  # fmt: skip
        return tuple(
            replace(hit, explanation=explanation)
            for hit, explanation in zip(hits, explanations, strict=True)
        )

    def _alignments(self, numbers: Sequence[int]) -> "dict[int, tuple[Alignment, ...]]":
        """Align the query with each document's best passage, where anything can.

        That is the reranker, else late interaction for a query with a vector.
        """
        names = [self._request.rerank, LATE if self._mode != "lexical" else NONE]
        aligner = self._rerankers.aligning([each for each in names if each not in (None, NONE)])
        if aligner is None:
            return {}
        if self._reranked is None:
            read = self._reading().candidates(numbers, 1)
        else:
            read = self._reranked.best(numbers)
        return dict(zip(numbers, aligner.align_all(self._request.query, read), strict=True))

    def _with_duplicates(
        self,
        hits: Sequence[Hit],
        final: Ranking,
        rows: Sequence[int],
        duplicates: Mapping[int, Sequence[int]],
    ) -> tuple[Hit, ...]:
        folded = [final.numbers[list(duplicates.get(row, ()))].tolist() for row in rows]
        ids = self._index.store.ids([number for numbers in folded for number in numbers])
        return tuple(
            replace(hit, duplicates=tuple(ids[number] for number in numbers))
            for hit, numbers in zip(hits, folded, strict=True)
        )

    def _total(self) -> int | None:
        """Count what the retrieval can reach: with words of the query, or all that has vectors."""
        allowed = self._found.allowed
        if allowed is None and not self._request.count:
            return None
        if self._mode == "lexical":
            return self._index.lexical.count_matches(self._request.query, allowed)
        return self._index.lexical.count if allowed is None else len(allowed)

    def _facets(self) -> Facets:
        from search.facets import count_facets

        return count_facets(self._index.store, self._request.facets, self._candidates().tolist())

    def _candidates(self) -> "NDArray[np.int64]":
        """Return the documents that the retrievals fetched, each once."""
        fetched = [ranking.numbers for stage, ranking in self._stages.items() if stage != "fused"]
        return np.unique(np.concatenate(fetched))

    def _plan(self) -> "SearchPlan":
        from search.explanation import SearchPlan

        candidates = {stage: len(ranking.numbers) for stage, ranking in self._stages.items()}
        if self._mode == "hybrid":  # whose ranking may end behind the page
            candidates["fused"] = len(self._candidates())
        allowed = self._found.allowed
        return SearchPlan(
            fusion=self._request.fusion if self._mode == "hybrid" else None,
            depth=self._request.depth or 0,
            candidates=candidates,
            passed=None if allowed is None else len(allowed),
            vectors=self._found.plan,
            rerank=None if self._reranked is None else self._reranked.plan(),
        )
