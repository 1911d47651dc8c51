"""The stage itself: the pool of the first ranking scored, and the whole put in its final order."""

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np

from search.explanation import Final, RerankPlan
from search.fusion import Ids, Ranking, rank
from search.hits import Request, RerankPlace, Span
from search.reranking.budget import fitting
from search.reranking.interpolation import interpolate
from search.reranking.loaded import Loaded
from search.reranking.reading import Reading
from search.reranking.reranker import Calibrated, Candidate

# Documents that are scored to learn a reranker's speed, after one that warms it up.
_TIMED = 4


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

    def probabilities(self, numbers: Sequence[int]) -> dict[int, float]:
        """Map documents to how probable their relevance is, where a calibration can tell."""
        reranker = self._loaded.reranker
        if not isinstance(reranker, Calibrated):
            return {}
        found: dict[int, float] = {}
        for number in numbers:
            scored = self._scored.get(number)
            if scored is None or scored.score is None:
                continue
            if (probability := reranker.probability(scored.score)) is not None:
                found[number] = probability
        return found

    @property
    def depth(self) -> int:
        """How many documents are in the pool."""
        return len(self._pool)

    def plan(self) -> RerankPlan:
        """Tell what ran."""
        read = self._reading.candidates(self._pool, self._loaded.reranker.passages)
        return RerankPlan(
            name=self._loaded.reranker.name,
            depth=self.depth,
            passages=sum(len(each.passages) for each in read),
            weight=self._weight,
            precision=self._loaded.reranker.precision,
        )

    def notices(self, request: Request) -> tuple[str, ...]:
        """Tell how far the time reached, since another page's query may come to another depth."""
        if request.rerank_budget_ms is None:
            return ()
        return (
            f"{self._loaded.reranker.name} reranked {self.depth:,} documents within "
            f"rerank_budget_ms {request.rerank_budget_ms:g}; another page may come to "
            "another depth",
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
        passage = self.best([number])[0].passages[0]
        return Span(passage.start, passage.end)

    def best(self, numbers: Sequence[int]) -> list[Candidate]:
        """Return documents with their passages, the one that the score is of in front."""
        read = self._reading.candidates(numbers, self._loaded.reranker.passages)
        return [
            candidate if (scored := self._scored.get(candidate.number)) is None
            else candidate.led_by(scored.passage)
            for candidate in read
        ]  # fmt: skip


def pool_depth(reading: Reading, loaded: Loaded, first: Ranking, request: Request) -> int:
    """Return how many documents to rerank: as many as asked for, or as fit into the time.

    Where the reranker's speed is not known, the first documents are scored to learn it; never less
    than one is reranked, where there is any, and never more than each retrieval fetches.

    Raises:
        ClozeError, DamagedIndexError: as `Reading.scores`.
    """
    budget = request.rerank_budget_ms
    if budget is None:
        return request.rerank_depth or 0
    begin = perf_counter()
    numbers: list[int] = first.numbers[: request.depth].tolist()
    scored = 0
    while (speed := loaded.speed.known) is None and scored < len(numbers):
        batch = numbers[scored : scored + (_TIMED if loaded.speed.warm else 1)]
        reading.scores(loaded, batch)
        scored += len(batch)
    if speed is None:
        return scored
    lengths = reading.lengths(numbers[scored:], loaded.reranker.passages)
    found = scored + fitting(lengths, speed, lambda: budget - (perf_counter() - begin) * 1000)
    return max(min(1, len(numbers)), found)
