"""The stage on tables of scores, against sorting in plain Python; and its depth by the clock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import ClozeError
from search.fusion import Ranking, rank
from search.hits import Request, RerankPlace
from search.reranking import budget, stage
from search.reranking.budget import Speed, fitting
from search.reranking.loaded import Loaded
from search.reranking.reading import Reading
from search.reranking.reranker import Candidate, CandidatePassage, Scored
from search.reranking.stage import Reranked, pool_depth


@dataclass
class Table:
    """A reranker that knows its scores by the document's number, and keeps the calls."""

    scores: Mapping[int, float | None]
    ms: float = 0.0
    clock: list[float] = field(default_factory=lambda: [0.0])
    calls: list[list[int]] = field(default_factory=list)
    name: str = "table"
    content_hash: str = "0"
    precision: str = "fp32"
    passages: int = 3

    def score(self, query: str, candidates: Sequence[Candidate]) -> list[Scored]:
        self.calls.append([candidate.number for candidate in candidates])
        read = sum(budget.length(query, candidate) for candidate in candidates)
        self.clock[0] += read * self.ms / 1000
        return [Scored(score=self.scores[candidate.number]) for candidate in candidates]


class Texts(Reading):
    """Reads a passage of so many code points for every document, with no index."""

    def __init__(self, length: int = 10) -> None:
        super().__init__(None, "", None)  # type: ignore[arg-type]
        self._length = length

    def candidates(self, numbers: Sequence[int], count: int) -> list[Candidate]:
        passage = CandidatePassage(number=None, text="x" * self._length, start=0, end=self._length)
        return [Candidate(number=number, title="", passages=(passage,)) for number in numbers]


def names(numbers: Sequence[int]) -> dict[int, str]:
    """Ids whose order is not that of the numbers."""
    return {number: f"{number * 7 % 100:02}" for number in numbers}


def reranked(first: Ranking, table: Table, depth: int, weight: float) -> Reranked:
    loaded = Loaded(name="table", reranker=table)
    return Reranked(Texts(), loaded, first, names, depth=depth, weight=weight)


def by_hand(
    scores: Mapping[int, float], raw: Mapping[int, float | None], depth: int, weight: float
) -> list[tuple[int, float]]:
    name = names(list(scores))
    order = sorted(scores, key=lambda number: (-scores[number], name[number]))
    pool = order[:depth]

    def scale(value: float, among: list[float]) -> float:
        low, high = min(among), max(among)
        return 1.0 if low == high else (value - low) / (high - low)

    firsts = [scores[number] for number in pool]
    known = [score for number in pool if (score := raw[number]) is not None]
    final = {number: scores[number] - min(firsts) - 1 for number in order[depth:]}
    for number in pool:
        own, score = scale(scores[number], firsts), raw[number]
        final[number] = (1 - weight) * own + weight * (
            own if score is None else scale(score, known)
        )
    return [(n, final[n]) for n in sorted(final, key=lambda n: (-final[n], name[n]))]


SCORES = st.one_of(st.sampled_from([0.0, 0.25, 0.5]), st.floats(-10, 10, width=32))


@given(st.data())
def test_order_and_scores_are_those_of_plain_sorting(data: st.DataObject) -> None:
    scores = dict(enumerate(data.draw(st.lists(SCORES, min_size=1, max_size=20))))
    raw = {number: data.draw(st.one_of(st.none(), SCORES)) for number in scores}
    depth = data.draw(st.integers(1, 25))
    weight = data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    numbers = data.draw(st.permutations(list(scores)))
    given = np.array(numbers), np.array([scores[number] for number in numbers])
    first = rank(*given, names)
    table = Table(raw)
    made = reranked(first, table, depth, weight)
    expected = by_hand(scores, raw, depth, weight)
    assert made.final.numbers.tolist() == [number for number, _ in expected]
    assert made.final.scores.tolist() == [score for _, score in expected]
    pool = first.numbers[:depth].tolist()
    assert table.calls == [pool]
    assert set(made.final.numbers[: len(pool)].tolist()) == set(pool)
    name = names(list(scores))
    known = [(-score, name[n], n) for n in pool if (score := raw[n]) is not None]
    assert made.places(list(scores)) == {
        number: RerankPlace(place, -falling, weight)
        for place, (falling, _, number) in enumerate(sorted(known), 1)
    }
    for number, final in made.explain(list(scores)).items():
        assert final.score == dict(expected)[number]
        assert final.first == scores[number]
        assert final.rerank == (raw[number] if number in pool else None)
        if final.rerank_normalised is None:
            assert final.score == final.first_normalised
        else:
            assert final.score == (
                (1 - weight) * final.first_normalised + weight * final.rerank_normalised
            )


def test_a_document_is_scored_once() -> None:
    table = Table({number: float(number) for number in range(9)})
    loaded, reading = Loaded(name="table", reranker=table), Texts()
    first = rank(np.arange(9), np.arange(9, 0, -1.0), names)
    for depth, weight in ((3, 0.1), (3, 0.9), (5, 0.1), (2, 1.0), (9, 0.5)):
        Reranked(reading, loaded, first, names, depth=depth, weight=weight)
    assert table.calls == [[0, 1, 2], [3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_an_error(score: float) -> None:
    first = rank(np.arange(2), np.array([2.0, 1.0]), names)
    with pytest.raises(ClozeError, match=f"table gave a document the score {score}, not a finite"):
        reranked(first, Table({0: 1.0, 1: score}), 2, 0.5)


def test_nothing_to_rerank() -> None:
    first = rank(np.array([], dtype=np.int64), np.array([]), names)
    made = reranked(first, Table({}), 5, 0.5)
    assert made.final.numbers.tolist() == [] and made.places([1]) == {}
    assert made.plan().depth == 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that only the reranker's work lets pass."""
    now = [0.0]
    for module in (budget, stage):
        monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    return now


def test_the_depth_is_what_fits_into_the_time(clock: list[float]) -> None:
    count = 200
    table = Table(dict.fromkeys(range(count), 0.0), ms=0.5, clock=clock)
    loaded = Loaded(name="table", reranker=table)
    first = rank(np.arange(count), np.arange(count, 0, -1.0), names)

    def depth(budget_ms: float, limit: int = 1000, length: int = 10) -> int:
        request = Request(query="", depth=limit, rerank_budget_ms=budget_ms)
        return pool_depth(Texts(length), loaded, first, request)

    # 5 ms a document. The first ones are scored to learn that, and take their part of the time.
    assert loaded.speed.known is None
    assert depth(100.0) == 20
    assert table.calls == [[0], [1, 2, 3, 4]]
    assert loaded.speed.known == pytest.approx(0.5)
    assert depth(100.0) == 20
    assert depth(100.0, length=20) == 10
    assert depth(1.0) == 1
    assert depth(1e9) == count
    assert depth(1e9, limit=30) == 30
    assert len(table.calls) == 2
    assert pool_depth(Texts(), loaded, first, Request(query="", rerank_depth=7)) == 7


def test_the_first_documents_are_reranked_even_where_time_is_short(clock: list[float]) -> None:
    table = Table(dict.fromkeys(range(9), 0.0), ms=100.0, clock=clock)
    first = rank(np.arange(9), np.arange(9, 0, -1.0), names)
    loaded = Loaded(name="table", reranker=table)
    request = Request(query="", depth=1000, rerank_budget_ms=1.0)
    assert pool_depth(Texts(), loaded, first, request) == 5
    assert pool_depth(Texts(), loaded, first, request) == 1
    for rows in range(4):
        first = rank(np.arange(rows), np.arange(rows, 0, -1.0), names)
        new = Loaded(name="new", reranker=table)
        assert pool_depth(Texts(), new, first, request) == rows
        shallow = replace(request, depth=1)
        new = Loaded(name="new", reranker=table)
        assert pool_depth(Texts(), new, first, shallow) == min(rows, 1)


def test_a_warm_reranker_is_not_warmed_again(clock: list[float]) -> None:
    table = Table(dict.fromkeys(range(9), 0.0), ms=0.5, clock=clock)
    first = rank(np.arange(9), np.arange(9, 0, -1.0), names)
    loaded = Loaded(name="table", reranker=table)
    Texts().scores(loaded, [7, 8])
    assert loaded.speed.known is None
    request = Request(query="", depth=1000, rerank_budget_ms=30.0)
    assert pool_depth(Texts(), loaded, first, request) == 6
    assert table.calls == [[7, 8], [0, 1, 2, 3]]


def test_after_a_slow_spell_the_depth_recovers(clock: list[float]) -> None:
    table = Table(dict.fromkeys(range(99), 0.0), ms=100.0, clock=clock)
    first = rank(np.arange(99), np.arange(99, 0, -1.0), names)
    loaded = Loaded(name="table", reranker=table)
    request = Request(query="", depth=1000, rerank_budget_ms=102.0)
    depths = []
    for query in range(18):
        if query == 9:
            table.ms = 0.5
        reading = Texts()
        depths.append(pool_depth(reading, loaded, first, request))
        reading.scores(loaded, first.numbers[: depths[-1]].tolist())
    assert depths[:9] == [5, *[1] * 8]
    assert depths[9:] == [*[1] * 5, *[20] * 4]


def test_reading_takes_from_the_time_too(clock: list[float]) -> None:
    class Slow(Texts):
        def lengths(self, numbers: Sequence[int], count: int) -> Iterator[int]:
            for each in super().lengths(numbers, count):
                clock[0] += 0.005
                yield each

    table = Table(dict.fromkeys(range(99), 0.0), ms=0.5, clock=clock)
    first = rank(np.arange(99), np.arange(99, 0, -1.0), names)
    loaded = Loaded(name="table", reranker=table)
    request = Request(query="", depth=1000, rerank_budget_ms=102.0)
    for reading, expected in ((Texts(), 20), (Texts(), 20), (Slow(), 10)):
        assert pool_depth(reading, loaded, first, request) == expected


def test_speed_is_the_median_of_the_batches_after_the_first(clock: list[float]) -> None:
    speed = Speed()
    candidates = Texts().candidates(range(4), 3)

    def batch(ms: float, count: int) -> None:
        with speed.measuring("", candidates[:count]):
            clock[0] += ms / 1000

    with speed.measuring("query", []):
        clock[0] += 1.0
    assert not speed.warm
    batch(999.0, 4)
    assert speed.warm and speed.known is None
    for ms, count in ((10.0, 1), (80.0, 4), (4000.0, 4)):
        batch(ms, count)
    assert speed.known == pytest.approx(2.0)
    with speed.measuring("query", []):
        clock[0] += 1.0
    assert speed.known == pytest.approx(2.0)
    for _ in range(9):
        batch(120.0, 4)
    assert speed.known == pytest.approx(3.0)


@given(st.lists(st.integers(0, 50)), st.integers(0, 200))
def test_as_many_as_fit(lengths: list[int], budget_ms: int) -> None:
    count = fitting(iter(lengths), 2.0, lambda: budget_ms)
    assert 2 * sum(lengths[:count]) <= budget_ms
    assert count == len(lengths) or 2 * sum(lengths[: count + 1]) > budget_ms
