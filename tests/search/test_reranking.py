"""Searches with a reranker that is a table: order, pages, options, and what hits say of it."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.creation import Settings
from indexer.defaults import change_defaults
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.index import Index as StoredIndex
from indexer.manifest import Defaults
from indexer.near_duplicates import representatives, sketch
from search.fusion import RRF_K
from search.hits import Hit, Mode, Options, RerankPlace
from search.index import Index
from search.reranking.opening import open_reranker
from search.reranking.reranker import Alignment, Candidate, Scored
from search.telling import tell_results

MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")
QUERY = "the supersonic ship under water"


class Fake:
    """Scores a passage by its hash in steps, so that some are equal; counts what it reads."""

    precision = "fp32"
    passages = 3

    def __init__(self, name: str) -> None:
        self.name = name
        self.content_hash = f"hash of {name}"
        self.read: list[tuple[str, int]] = []

    def value(self, query: str, text: str) -> float:
        digest = hashlib.sha256(f"{self.name} {query} {text}".encode()).digest()
        return digest[0] % 16 / 4 - 2

    def score(self, query: str, candidates: Sequence[Candidate]) -> list[Scored]:
        self.read += [(query, candidate.number) for candidate in candidates]
        return [self._scored(query, candidate) for candidate in candidates]

    def _scored(self, query: str, candidate: Candidate) -> Scored:
        values = [self.value(query, passage.text) for passage in candidate.passages]
        if not values:
            return Scored(score=None)
        return Scored(score=max(values), passage=values.index(max(values)))


class FakeLate(Fake):
    """One that also aligns: the query's first word with the start of the passage."""

    passages = 2

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.aligned: list[int] = []

    def align_all(self, query: str, candidates: Sequence[Candidate]) -> list[tuple[Alignment, ...]]:
        self.aligned.append(len(candidates))
        return [self._aligned(query, each) if each.passages else () for each in candidates]

    def _aligned(self, query: str, candidate: Candidate) -> tuple[Alignment, ...]:
        start = candidate.passages[0].start
        word = query.split()[0]
        return (
            Alignment(word=word, start=start, end=start + 1, similarity=0.5, weight=0.25),
            Alignment(word="ship", start=0, end=0, similarity=1.0, weight=0.75),
        )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    """The rerankers that were opened, in this order."""
    made: list[Fake] = []

    def open_fake(name: str, index: StoredIndex) -> Fake:
        made.append((FakeLate if name == "late" else Fake)(name))
        return made[-1]

    monkeypatch.setattr("search.reranking.opening.open_reranker", open_fake)
    return made


@pytest.fixture(scope="module")
def built(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("reranked") / "index"
    with Index.open(folder, Settings(model=str(tiny_model), passage_overlap=8)) as index:
        index.add(documents)
    yield folder


@pytest.fixture
def library(built: Path, opened: list[Fake]) -> Iterator[Index]:
    with Index.open(built) as index:
        yield index


@pytest.fixture
def index(tmp_path: Path, documents: list[Document], opened: list[Fake]) -> Iterator[Index]:
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as made:
        made.add(documents[:80])
        yield made


def pairs(hits: Sequence[Hit]) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in hits]


def by_hand(
    first: list[tuple[str, float]], raw: dict[str, float], depth: int, weight: float
) -> list[tuple[str, float]]:
    """Interpolate and sort in plain Python; `first` is the whole ranking without a reranker."""
    pool = dict(first[:depth])
    least, best = min(pool.values()), max(pool.values())
    low, high = min(raw[name] for name in pool), max(raw[name] for name in pool)
    made = {name: score - least - 1 for name, score in first[depth:]}
    for name, score in pool.items():
        own = (score - least) / (best - least) if best > least else 1.0
        other = (raw[name] - low) / (high - low) if high > low else 1.0
        made[name] = (1 - weight) * own + weight * other
    return sorted(made.items(), key=lambda pair: (-pair[1], pair[0]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [{}, {"fusion": "rrf"}, {"filter": "year < 2005"}])
@pytest.mark.parametrize(("depth", "weight"), [(1, 0.5), (7, 1.0), (30, 0.0), (1000, 0.3)])
def test_the_pool_is_put_in_order_and_the_rest_stays_behind(
    library: Index,
    opened: list[Fake],
    documents: list[Document],
    mode: Mode,
    options: dict[str, Any],
    depth: int,
    weight: float,
) -> None:
    options = options | {"mode": mode}
    asked = options | {"rerank": "late", "rerank_depth": depth, "rerank_weight": weight}
    first = library.rank(QUERY, top=1000, **options)
    found = library.search(QUERY, top=1000, explain=True, **asked)
    assert found.plan is not None and found.plan.rerank is not None
    assert found.plan.rerank.depth == min(depth, len(first)) == len(opened[0].read)
    raw = {}
    for hit in found.hits:
        place = hit.stages["rerank"]
        assert hit.explanation is not None and hit.explanation.final is not None
        final = hit.explanation.final
        assert (place is None) == (final.rerank is None) == (hit.id not in dict(first[:depth]))
        if place is not None:
            raw[hit.id] = place.score
            assert final.passage is not None
            text = text_of(documents, hit.id, final.passage.start, final.passage.end)
            assert opened[0].value(QUERY, text) == place.score == final.rerank
    assert pairs(found.hits) == by_hand(first, raw, depth, weight)
    ordered = sorted(raw.items(), key=lambda pair: (-pair[1], pair[0]))
    for rank, (name, score) in enumerate(ordered, 1):
        place = next(hit for hit in found.hits if hit.id == name).stages["rerank"]
        assert place == RerankPlace(rank, score, weight)
    assert library.rank(QUERY, top=1000, **asked) == pairs(found.hits)
    for top, offset in ((0, 0), (1, 0), (10, 0), (5, 3), (20, depth)):
        page = library.search(QUERY, top=top, offset=offset, **asked).hits
        assert pairs(page) == pairs(found.hits)[offset : offset + top]
        assert [hit.rank for hit in page] == [offset + n + 1 for n in range(len(page))]
        assert library.rank(QUERY, top=top, offset=offset, **asked) == pairs(page)


def text_of(documents: list[Document], name: str, start: int, end: int) -> str:
    document = next(each for each in documents if each.id == name)
    return " ".join(filter(None, [document.title, document.text[start:end]]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fusion", ["minmax", "rrf"])
def test_what_the_stages_say_adds_up(library: Index, mode: Mode, fusion: str) -> None:
    options: dict[str, Any] = {"mode": mode, "fusion": fusion, "weight": 0.4}
    plain = {hit.id: hit for hit in library.search(QUERY, top=1000, **options).hits}
    asked = options | {"rerank": "late", "rerank_depth": 20, "rerank_weight": 0.6}
    hits = library.search(QUERY, top=1000, explain=True, **asked).hits
    assert set(plain) == {hit.id for hit in hits}
    for hit in hits:
        explanation = hit.explanation
        assert explanation is not None and explanation.final is not None
        final = explanation.final
        assert sum(part.value for part in explanation.parts) == final.first == plain[hit.id].score
        if fusion == "rrf" and mode == "hybrid":
            assert all(part.value == 1 / (RRF_K + part.rank) for part in explanation.parts)
        assert final.score == hit.score
        if final.rerank_normalised is None:
            assert hit.score == final.first_normalised <= -1
        else:
            assert hit.score == 0.4 * final.first_normalised + 0.6 * final.rerank_normalised
        kept = {stage: place for stage, place in hit.stages.items() if stage != "rerank"}
        assert kept == plain[hit.id].stages
        ran = {"hybrid": ["lexical", "dense", "fused"]}.get(mode, [mode])
        assert list(explanation.way) == [*ran, "rerank"]
        assert explanation.way == {
            stage: (place.rank if (place := hit.stages[stage]) else None)
            for stage in [*ran, "rerank"]
        }
        assert "rerank" not in plain[hit.id].stages


def test_alignments_are_of_the_passage_that_scored_best(library: Index) -> None:
    for hit in library.search(QUERY, top=60, rerank="late", rerank_depth=30, explain=True).hits:
        assert hit.explanation is not None and hit.explanation.final is not None
        (first, second) = hit.explanation.alignments
        passage = hit.explanation.final.passage or hit.passage
        assert (first.word, first.start, second.end) == ("the", passage.start, 0)
    # A cross-encoder can't align, and late interaction stands in for it, as it does for none.
    for rerank in ("cross", "none"):
        hits = library.search(QUERY, explain=True, rerank=rerank).hits
        assert all(len(hit.explanation.alignments) == 2 for hit in hits if hit.explanation)
    lexical = library.search(QUERY, mode="lexical", explain=True).hits
    assert all(hit.explanation and hit.explanation.alignments == () for hit in lexical)


def test_a_page_is_aligned_at_once_and_timed(library: Index, opened: list[Fake]) -> None:
    for rerank in ("late", "cross", "none"):
        found = library.search(QUERY, explain=True, rerank=rerank, top=7)
        assert {"alignments", "explanations"} <= found.took_ms.keys()
    late = opened[0]
    assert isinstance(late, FakeLate)
    assert late.aligned == [7, 7, 7]
    plain = library.search(QUERY, rerank="late")
    assert not {"alignments", "explanations"} & plain.took_ms.keys()


@pytest.mark.parametrize(("rerank", "most"), [("late", 2), ("cross", 3)])
def test_the_plan_counts_the_passages_that_were_read(
    library: Index, opened: list[Fake], documents: list[Document], rerank: str, most: int
) -> None:
    found = library.search(QUERY, rerank=rerank, rerank_depth=40, explain=True)
    assert found.plan is not None and found.plan.rerank is not None
    numbers = [number for _, number in opened[0].read]
    with library.reading():
        stored = [len(library.store.vectors_of(number)) for number in numbers]
    assert found.plan.rerank.passages == sum(min(most, each) for each in stored)
    assert max(stored) > 2


def test_alignments_are_no_part_of_other_scores(
    library: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    heading = "       alignment by late interaction, no part of the score\n           0.1250  the: "
    plain: Options = {"explain": True, "top": 3}
    ways: list[Options] = [plain, plain | {"rerank": "cross"}, plain | {"mode": "dense"}]
    for asked in ways:
        tell_results(library.search(QUERY, **asked))
        told = capsys.readouterr().out
        assert told.count(heading) == 3
        assert ", of which" not in told
    tell_results(library.search(QUERY, explain=True, top=5, rerank="late", rerank_depth=3))
    told = capsys.readouterr().out
    assert told.count(heading) == 2  # behind the pool
    assert len(re.findall(r"  score -?\d\.\d+, of which\n           0\.1250  the: ", told)) == 3


def test_a_passage_of_the_title_alone_is_called_that(
    library: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    hits = library.search("the supersonic ship", top=1000, explain=True, rerank="cross")
    only = [hit for hit in hits.hits if hit.id == "only a title"]
    tell_results(replace(hits, hits=tuple(only)))
    told = capsys.readouterr().out
    assert told.count("passage: the title") == 2  # the reranker's, and the dense score's
    assert "characters 0 to 0" not in told


def test_the_terminal_tells_the_way(library: Index, capsys: pytest.CaptureFixture[str]) -> None:
    asked: dict[str, Any] = {"rerank": "late", "rerank_depth": 3, "top": 4}
    tell_results(library.search(QUERY, **asked))
    assert "fused 1, rerank " in capsys.readouterr().out
    results = library.search(QUERY, explain=True, **asked)
    tell_results(results)
    told = capsys.readouterr().out
    for hit in results.hits:
        assert hit.explanation is not None
        way = [f"{stage} {rank or '-'}" for stage, rank in hit.explanation.way.items()]
        assert f"{hit.score:.4f} ({', '.join(way)})" in told
    assert "fused 4, rerank -)" in told and "behind the reranked: first stages" in told
    assert "0.1250  the: 0.250 * similarity 0.500 with characters" in told
    assert "with the title" in told and "rerank: score " in told
    assert "; late reranked 3 documents by " in told


def test_ways_of_one_query_share_what_was_read(library: Index, opened: list[Fake]) -> None:
    ways: list[Options] = [
        {"rerank": "late", "rerank_weight": 0.0, "rerank_depth": 9},
        {"rerank": "late", "rerank_weight": 0.9, "rerank_depth": 20},
        {"rerank": "cross"},
        {"rerank": "none", "mode": "lexical"},
        {"rerank": "late", "rerank_depth": 5, "mode": "dense"},
        {"rerank": "late", "rerank_depth": 12, "fusion": "rrf", "top": 30},
    ]
    together = library.rank_each(QUERY, ways)
    late, cross = opened
    assert (late.name, cross.name) == ("late", "cross")
    assert set(Counter(late.read).values()) == set(Counter(cross.read).values()) == {1}
    assert len(cross.read) == 50
    assert together == [library.rank(QUERY, **way) for way in ways]
    assert len(opened) == 2  # and both stay open
    # A lexical search reads windows, with or without the vector that another way asked for.
    mixed: list[Options] = [
        {"mode": "lexical", "rerank": "late"}, {"mode": "dense", "rerank": "late"},
    ]  # fmt: skip
    assert library.rank_each(QUERY, mixed) == [library.rank(QUERY, **way) for way in mixed]


@pytest.mark.parametrize("mode", MODES)
def test_near_duplicates_are_folded_in_the_final_order(
    library: Index, documents: list[Document], mode: Mode
) -> None:
    asked: dict[str, Any] = {"mode": mode, "rerank": "late", "rerank_depth": 12}
    query = documents[19].text
    plain = library.search(query, top=1000, **asked).hits
    texts = {d.id: d.text for d in documents}
    first = representatives([sketch(texts[hit.id]) for hit in plain])
    kept = [hit for row, hit in enumerate(plain) if first[row] == row]
    assert len(kept) < len(plain)
    page = library.search(query, top=6, offset=1, collapse=True, **asked).hits
    assert pairs(page) == pairs(kept[1:7])
    assert library.rank(query, top=6, offset=1, collapse=True, **asked) == pairs(page)


def test_the_rest_of_the_answer_is_as_without_it(library: Index) -> None:
    options: dict[str, Any] = {"facets": ("lang",), "filter": "year < 2005", "count": True}
    plain = library.search(QUERY, **options)
    found = library.search(QUERY, rerank="late", **options)
    assert (found.facets, found.total_matches) == (plain.facets, plain.total_matches)
    assert set(found.took_ms) == {*plain.took_ms, "rerank"}
    assert library.search("  ", rerank="late").hits == ()
    assert library.search(QUERY, filter="year > 3000", rerank="late").hits == ()
    assert library.search("xylophone", mode="lexical", rerank="late").hits == ()
    only = library.search("supersonic ship", rerank="late", rerank_depth=1000, top=1000).hits
    assert "only a title" in {hit.id for hit in only if hit.stages["rerank"]}


def test_a_budget_reads_as_far_as_time_allows(library: Index, opened: list[Fake]) -> None:
    def depth(**options: Any) -> int:  # noqa: ANN401
        plan = library.search(QUERY, rerank="late", explain=True, **options).plan
        assert plan is not None and plan.rerank is not None
        return plan.rerank.depth

    everything = len(library.rank(QUERY, top=1000))
    assert depth(rerank_budget_ms=1e9) == everything
    assert depth(rerank_budget_ms=1e9, depth=30) == 30
    assert depth(rerank_budget_ms=1e-9) == 1
    assert depth() == 50


def test_the_depth_of_a_budget_is_told_without_asking(library: Index) -> None:
    asked: dict[str, Any] = {"rerank": "late", "top": 3, "filter": 'year = "2000"', "mode": "dense"}
    found = library.search(QUERY, rerank="late", rerank_budget_ms=1e9, top=3)
    count = len(library.rank(QUERY, top=1000))
    assert found.notices == (
        f"late reranked {count} documents within rerank_budget_ms 1e+09; another page may come to "
        "another depth",
    )
    assert library.search(QUERY, rerank="late").notices == ()
    told, misfit = library.search(QUERY, rerank_budget_ms=5.0, **asked).notices
    assert told.startswith("late reranked 0 documents") and "year" in misfit


def test_defaults_of_the_index_are_its_own_rerankers(index: Index, opened: list[Fake]) -> None:
    query = "the ship under water by the garden wall"

    def plan(**options: Any) -> tuple[str, int, float] | None:  # noqa: ANN401
        found = index.search(query, explain=True, **options).plan
        assert found is not None
        if found.rerank is None:
            return None
        return found.rerank.name, found.rerank.depth, found.rerank.weight

    count = min(50, len(index.rank(query, top=1000)))
    assert count > 10
    assert plan() is None
    assert plan(rerank="late") == ("late", count, 0.6)
    assert plan(rerank="cross") == ("cross", count, 0.7)
    change_defaults(
        index.folder, lambda _: Defaults(rerank="cross", rerank_depth=3, rerank_weight=0.25)
    )
    assert plan() == ("cross", 3, 0.25)
    assert plan(rerank_depth=2, rerank_weight=0.5) == ("cross", 2, 0.5)
    assert plan(rerank="late") == ("late", count, 0.6)
    assert plan(rerank="none") is None
    assert index.rank(query) == index.rank(
        query, rerank="cross", rerank_depth=3, rerank_weight=0.25
    )
    assert [each.name for each in opened] == ["late", "cross"]
    assert index.reranker_hash("cross") == "hash of cross"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rerank_depth": 5}, "rerank_depth is 5, and rerank is none; name a reranker, or late"),
        ({"rerank": "none", "rerank_weight": 0.5}, "rerank_weight is 0.5, and rerank is none"),
        ({"rerank_budget_ms": 20.0}, "rerank_budget_ms is 20, and rerank is none"),
        ({"rerank": "late", "rerank_depth": 0}, "rerank_depth is 0; it must be 1 or more"),
        ({"rerank": "late", "rerank_weight": 1.5}, "rerank_weight is 1.5; it must lie between"),
        ({"rerank": "late", "rerank_weight": float("nan")}, "rerank_weight is nan"),
        (
            {"rerank": "late", "rerank_budget_ms": -1.0},
            "rerank_budget_ms is -1; it must be a finite",
        ),
        (
            {"rerank": "late", "rerank_budget_ms": float("inf")},
            "is inf; it must be a finite number above 0",
        ),
        ({"rerank": ""}, "rerank is ''; name late, none, a checkpoint folder or a hub id"),
        ({"rerank": " "}, "rerank is ' '; name late, none"),
        (
            {"rerank": "late", "rerank_depth": 5, "rerank_budget_ms": 9.0},
            "rerank_depth is 5 and rerank_budget_ms is 9; give one of the two",
        ),
    ],
)
def test_options_that_do_not_fit_are_named(
    library: Index, opened: list[Fake], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClozeError, match=message):
        library.search(QUERY, **options)
    assert opened == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lat", "there is no reranker 'lat': did you mean 'late'?"),
        ("Late ", "did you mean 'late'"),
        ("nome", "did you mean 'none'"),
        ("late", "was built with --lexical-only, --rerank late needs an encoder"),
        ("./no-such-folder", "there is no folder ./no-such-folder"),
    ],
)
def test_rerankers_that_can_not_be_had(
    index: Index, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setattr("search.reranking.opening.open_reranker", open_reranker)
    with pytest.raises(ClozeError, match=message):
        index.search("ship", rerank=name)
    with pytest.raises(ClozeError, match=message):
        index.rank("ship", rerank=name)


def test_late_interaction_is_opened_anew_after_reindexing(
    index: Index, opened: list[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("late", "cross", "late", "cross"):
        index.rank("ship", rerank=name)
    assert [each.name for each in opened] == ["late", "cross"]
    sealed = sealed_like(index)
    index._engine._rerankers._index.manifest = replace(index.manifest, encoder=sealed)
    for name in ("late", "cross", "late"):
        index._engine._rerankers.get(name)
    assert [each.name for each in opened] == ["late", "cross", "late"]


def sealed_like(index: Index) -> Any:  # noqa: ANN401
    from indexer.manifest import EncoderSeal

    return EncoderSeal(
        name="other", content_hash="1", dimension=2, pooling="mean", normalize=True,
        query_prompt="", document_prompt="", max_tokens=8, precision="fp32",
    )  # fmt: skip


def test_a_deleted_document_is_not_reranked(index: Index) -> None:
    asked: dict[str, Any] = {"rerank": "cross", "rerank_depth": 1000, "top": 1000}
    before = index.rank("water", **asked)
    index.delete([before[0][0]])
    after = {name for name, _ in index.rank("water", **asked)}
    assert after == {name for name, _ in before[1:]}


def test_the_command_tells_a_wrong_name(built: Path, cloze: Callable[..., Any]) -> None:
    run = cloze("search", built, "ship", "--rerank", "lat")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("cloze: there is no reranker 'lat': did you mean 'late'?")
    assert run.stderr.count("\n") == 1
    both = cloze(
        "search", built, "ship", "--rerank", "late", "--rerank-depth", 5, "--rerank-budget-ms", 9
    )
    assert both.returncode == 2 and "give one of the two" in both.stderr
