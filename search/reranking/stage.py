"""The stage itself: the pool of the first ranking scored, and the whole put in its final order."""

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np

from search.explanation import Final, RerankPlan
from search.fusion import Ids, Ranking, rank
from search.hits import Request, RerankPlace, Span
from search.reranking.budget import LEAST_TIMED, fitting
from search.reranking.interpolation import interpolate
from search.reranking.loaded import Loaded
from search.reranking.reading import Reading
from search.reranking.reranker import Candidate


class Reranked:
    """A ranking after its pool, the first `depth` documents, was scored by a reranker."""

    def __init__(
        self,
        reading: Reading,
        loaded: Loaded,
        first: Ranking,
        ids: Ids,
        *,
        depth: int,
        weight: float,
    ) -> None:
        """Score the pool of the first stages' ranking, which must be settled everywhere.

        Raises:
            ClozeError: a score is no finite number.
            DamagedIndexError: a document is not what was written.
        """
        self._reading = reading
        self._loaded = loaded
        self._weight = weight
        self._first = first
        self._pool: list[int] = first.numbers[:depth].tolist()
        scored = reading.scores(loaded, self._pool)
        self._scored = dict(zip(self._pool, scored, strict=True))
        raw = np.array([np.nan if each.score is None else each.score for each in scored])
        self._made = interpolate(first.scores, raw, weight)
        self.final = rank(first.numbers, self._made.final, ids)
        known = ~np.isnan(raw)
        self._by_score = rank(first.numbers[: len(raw)][known], raw[known], ids)
        self._ids = ids

    def places(self, numbers: Sequence[int]) -> dict[int, RerankPlace]:
        """Map those documents that the reranker scored to their place by its own scores."""
        found = self._by_score.places(numbers, self._ids)
        return {number: RerankPlace(*place, weight=self._weight) for number, place in found.items()}

    def plan(self) -> RerankPlan:
        """Tell what ran."""
        return RerankPlan(
            name=self._loaded.reranker.name,
            depth=len(self._pool),
            passages=sum(len(each.passages) for each in self._reading.candidates(self._pool)),
            weight=self._weight,
            precision=self._loaded.reranker.precision,
        )

    def explain(self, numbers: Sequence[int]) -> Mapping[int, Final]:
        """Tell of documents how their final scores came about."""
        wanted = set(numbers)
        rows = [row for row, each in enumerate(self._first.numbers.tolist()) if each in wanted]
        return {int(self._first.numbers[row]): self._explained(row) for row in rows}

    def _explained(self, row: int) -> Final:
        number = int(self._first.numbers[row])
        scored = self._scored.get(number)
        inside = row < len(self._pool)
        return Final(
            first=float(self._first.scores[row]),
            first_normalised=float(self._made.first[row]),
            weight=self._weight,
            rerank=scored.score if scored else None,
            rerank_normalised=float(self._made.rerank[row]) if inside else None,
            passage=self._span(number) if scored and scored.score is not None else None,
            score=float(self._made.final[row]),
        )

    def _span(self, number: int) -> Span:
        passage = self.best(number).passages[0]
        return Span(passage.start, passage.end)

    def best(self, number: int) -> Candidate:
        """Return a document with its passages, the one that its score is of in front."""
        candidate = self._reading.candidates([number])[0]
        scored = self._scored.get(number)
        return candidate if scored is None else candidate.led_by(scored.passage)


def pool_depth(reading: Reading, loaded: Loaded, first: Ranking, request: Request) -> int:
    """Return how many documents to rerank: as many as asked for, or as fit into the time.

    Where the reranker's speed is not known, the first documents are scored to learn it; never less
    than one is reranked, and never more than each retrieval fetches.

    Raises:
        ClozeError, DamagedIndexError: as `Reading.scores`.
    """
    budget = request.rerank_budget_ms
    if budget is None:
        return request.rerank_depth or 0
    begin = perf_counter()
    numbers: list[int] = first.numbers[: request.depth].tolist()
    scored = 0
    if loaded.speed.known is None:
        scored = 1 + LEAST_TIMED
        # The first call sets up what later ones find ready, so it tells nothing of their speed.
        reading.scores(loaded, numbers[:1])
        reading.scores(loaded, numbers[1:scored])
    speed = loaded.speed.known
    if speed is None:
        return scored
    left = budget - (perf_counter() - begin) * 1000
    return max(1, scored + fitting(reading.lengths(numbers[scored:]), speed, left))
