"""The engine end to end over a tiny model: pages, edges, filters, and what a hit says of itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.filters import parse
from indexer.nearest import Nearest
from search.engine import SearchEngine
from search.hits import Fusion, Hit, Mode, Request, Results
from search.index import Index

MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")
ALONE: tuple[Mode, ...] = ("lexical", "dense")
QUERY = "the supersonic ship under water"


@pytest.fixture(scope="module")
def library(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("library") / "index"
    with Index.open(folder, Settings(model=str(tiny_model), passage_overlap=8)) as index:
        index.add(documents)
        yield index


@pytest.fixture(scope="module")
def words_only(
    documents: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("words") / "index"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add(documents)
        yield index


@pytest.fixture(scope="module")
def empty(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("empty") / "index"
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        yield index


def ids(results: Results) -> list[str]:
    return [hit.id for hit in results.hits]


def without_rank(hits: tuple[Hit, ...]) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in hits]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fusion", ["minmax", "rrf"])
@pytest.mark.parametrize("filter", [None, "year < 2005"])
def test_a_longer_list_only_adds_to_a_shorter(
    library: Index, mode: Mode, fusion: Fusion, filter: str | None
) -> None:
    options: dict[str, Any] = {"mode": mode, "fusion": fusion, "filter": filter}
    long = library.search(QUERY, top=100, **options).hits
    assert len(long) > 20
    assert [hit.rank for hit in long] == list(range(1, len(long) + 1))
    for top in (0, 1, 10):
        assert library.search(QUERY, top=top, **options).hits == long[:top]
    pages = [library.search(QUERY, top=7, offset=at, **options).hits for at in range(0, 21, 7)]
    assert sum(pages, ()) == long[:21]


@pytest.mark.parametrize("mode", MODES)
def test_hits_are_in_the_total_order(library: Index, mode: Mode) -> None:
    hits = library.search(QUERY, top=1000, mode=mode).hits
    assert len({hit.id for hit in hits}) == len(hits)
    assert [(-hit.score, hit.id) for hit in hits] == sorted((-hit.score, hit.id) for hit in hits)


def test_equal_documents_stand_side_by_side_by_id(
    library: Index, documents: list[Document]
) -> None:
    for mode in MODES:
        found = ids(library.search(documents[19].text, top=4, mode=mode))
        assert found == ["d19", "d20", "d21", "d22"]


def test_each_mode_finds_all_that_it_can(library: Index, documents: list[Document]) -> None:
    dense = library.search(QUERY, top=1000, mode="dense")
    assert set(ids(dense)) == {d.id for d in documents} - {"nothing"}
    wanted = set(library.analyzer.terms(QUERY))
    lexical = library.search(QUERY, top=1000, mode="lexical", count=True)
    assert set(ids(lexical)) == {
        d.id for d in documents if wanted & set(library.analyzer.terms(f"{d.title} {d.text}"))
    }
    assert lexical.total_matches == len(lexical.hits)
    assert set(ids(library.search(QUERY, top=1000))) == set(ids(dense)) | set(ids(lexical))


def test_dense_scores_are_those_of_the_best_passage(
    library: Index, documents: list[Document]
) -> None:
    query = library.encoder.encode_queries([QUERY])[0].astype(float)
    hits = library.search(QUERY, top=1000, mode="dense", passages=100).hits
    by_id = {d.id: d for d in documents}
    assert max(len(hit.passages) for hit in hits) > 1
    for hit in hits:
        document = by_id[hit.id]
        texts = [f"{document.title} {document.text[p.start : p.end]}".strip() for p in hit.passages]
        vectors = library.encoder.encode_documents(texts).astype(np.float16).astype(float)
        assert [p.score for p in hit.passages] == pytest.approx(
            (vectors @ query).tolist(), abs=1e-5
        )
        scores = [p.score for p in hit.passages]
        assert scores == sorted(scores, reverse=True)
        assert hit.score == scores[0]
        assert (hit.passage.start, hit.passage.end) == (hit.passages[0].start, hit.passages[0].end)


@pytest.mark.parametrize("fusion", ["minmax", "rrf"])
def test_stages_are_those_of_the_single_modes(library: Index, fusion: Fusion) -> None:
    hybrid = library.search(QUERY, top=1000, fusion=fusion, weight=0.3).hits
    single = {
        mode: {hit.id: hit for hit in library.search(QUERY, top=1000, mode=mode).hits}
        for mode in ALONE
    }
    scores = {mode: [hit.score for hit in hits.values()] for mode, hits in single.items()}
    least = {"lexical": 0.0, "dense": min(scores["dense"])}
    for hit in hybrid:
        expected = 0.0
        for mode, share in zip(ALONE, (0.7, 0.3), strict=True):
            alone, place = single[mode].get(hit.id), hit.stages[mode]
            assert (alone is None) == (place is None)
            if alone is None or place is None:
                continue
            assert (place.rank, place.score) == (alone.rank, alone.score)
            low, high = least[mode], max(scores[mode])
            expected += (
                1 / (60 + place.rank)
                if fusion == "rrf"
                else share * (place.score - low) / (high - low)
            )
        assert hit.score == pytest.approx(expected)
        fused = hit.stages["fused"]
        assert fused is not None
        assert (fused.rank, fused.score) == (hit.rank, hit.score)


def test_a_single_stage_has_no_fused_place(library: Index) -> None:
    for mode in ALONE:
        for hit in library.search(QUERY, mode=mode).hits:
            assert {name for name, place in hit.stages.items() if place} == {mode}


def test_the_whole_weight_on_one_list_is_that_list(library: Index) -> None:
    dense = ids(library.search(QUERY, top=50, mode="dense"))
    assert ids(library.search(QUERY, top=50, weight=1.0)) == dense
    lexical = ids(library.search(QUERY, top=20, mode="lexical"))
    assert ids(library.search(QUERY, top=20, weight=0.0)) == lexical


def test_filters_give_what_filtering_afterwards_would(library: Index) -> None:
    for mode in ALONE:
        everything = library.search(QUERY, top=1000, mode=mode).hits
        expected = [hit for hit in everything if hit.metadata.get("year", 0) > 2010]
        found = library.search(QUERY, top=1000, mode=mode, filter="year > 2010")
        assert without_rank(found.hits) == without_rank(tuple(expected))
        assert found.total_matches == len(expected)
        assert 0 < len(expected) < len(everything)


@pytest.mark.parametrize("mode", MODES)
def test_a_filter_that_passes_nothing(library: Index, mode: Mode) -> None:
    found = library.search(QUERY, mode=mode, filter="year > 3000")
    assert (found.hits, found.total_matches) == ((), 0)


def test_a_filter_on_an_unknown_field_is_an_error(library: Index) -> None:
    with pytest.raises(ClozeError, match="colour"):
        library.search(QUERY, filter="colour = red")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("query", ["", "  \n\t"])
def test_an_empty_query_finds_nothing(library: Index, mode: Mode, query: str) -> None:
    found = library.search(query, mode=mode, filter="year > 2000")
    assert (found.hits, found.mode, found.total_matches) == ((), mode, 0)


@pytest.mark.parametrize("query", ["xylophon qwertz", "the of and", "…", "🎉"])
def test_without_words_only_the_vectors_answer(library: Index, query: str) -> None:
    lexical = library.search(query, mode="lexical", count=True)
    assert (lexical.hits, lexical.total_matches) == ((), 0)
    dense = library.search(query, mode="dense")
    hybrid = library.search(query)
    assert len(dense.hits) == 10
    assert ids(hybrid) == ids(dense)
    assert all(hit.stages["lexical"] is None for hit in hybrid.hits)


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_index_finds_nothing(empty: Index, mode: Mode) -> None:
    assert empty.search(QUERY, mode=mode).hits == ()
    assert empty.search(QUERY, mode=mode, count=True).total_matches == 0


def test_a_query_longer_than_the_model_reads(library: Index) -> None:
    assert len(library.search("water " * 3000).hits) == 10
    assert len(library.search("水火" * 3000).hits) == 10


@pytest.mark.parametrize("query", ["引擎", "用搜索引擎", "天地"])
def test_chinese_finds_chinese(words_only: Index, documents: list[Document], query: str) -> None:
    found = words_only.search(query, top=1000)
    pairs = {query[n : n + 2] for n in range(len(query) - 1)}
    assert set(ids(found)) == {d.id for d in documents if any(pair in d.text for pair in pairs)}
    for hit in found.hits:
        text = next(d.text for d in documents if d.id == hit.id)
        assert hit.highlights
        assert all(
            any(pair in text[span.start : span.end] for pair in pairs) for span in hit.highlights
        )


@pytest.mark.parametrize("mode", MODES)
def test_snippets_and_highlights_are_of_the_text(
    library: Index, documents: list[Document], mode: Mode
) -> None:
    terms = set(library.analyzer.terms(QUERY))
    texts = {d.id: d for d in documents}
    marked = 0
    for hit in library.search(QUERY, top=1000, mode=mode).hits:
        document = texts[hit.id]
        end = hit.snippet_start + len(hit.snippet)
        assert document.text[hit.snippet_start : end] == hit.snippet
        assert (hit.title, hit.metadata) == (document.title, document.metadata)
        assert 0 <= hit.passage.start <= hit.passage.end <= len(document.text)
        for span in hit.highlights:
            word = document.text[span.start : span.end]
            assert set(library.analyzer.terms(word)) & terms
            marked += 1
    assert marked > 20


def test_lexical_only_is_lexical_by_default(words_only: Index, library: Index) -> None:
    found = words_only.search(QUERY, top=50)
    assert found.mode == "lexical"
    expected = library.search(QUERY, top=50, mode="lexical").hits
    assert without_rank(found.hits) == without_rank(expected)
    assert all(hit.passages == () for hit in found.hits)


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_vectors_where_there_are_none_are_an_error(words_only: Index, mode: Mode) -> None:
    message = rf"built with --lexical-only, asked for --mode {mode}; .* cloze reindex"
    with pytest.raises(ClozeError, match=message):
        words_only.search(QUERY, mode=mode)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": -1}, "top is -1; it must be 0 or more"),
        ({"offset": -3}, "offset is -3"),
        ({"passages": 0}, "passages is 0; it must be 1 or more"),
        ({"weight": 1.5}, "weight is 1.5; it must lie between 0 and 1"),
        ({"weight": float("nan")}, "weight is nan"),
    ],
)
def test_numbers_out_of_range_are_named(
    library: Index, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClozeError, match=message):
        library.search(QUERY, **options)


def test_times_of_every_stage_are_told(library: Index) -> None:
    took = library.search(QUERY, filter="year > 2000").took_ms
    assert set(took) == {"filter", "encode", "lexical", "dense", "fusion", "documents", "total"}
    assert all(value >= 0 for value in took.values())
    assert took["total"] >= max(took["dense"], took["encode"])


def test_a_deleted_document_is_gone_at_once(tiny_model: Path, tmp_path: Path) -> None:
    texts = {"a": "the ship", "b": "the ship sailed", "c": "a tree"}
    with Index.open(tmp_path / "index", Settings(model=str(tiny_model))) as index:
        index.add([Document(id=id, text=text) for id, text in texts.items()])
        for mode in MODES:
            assert {"a", "b"} <= set(ids(index.search("ship", mode=mode)))
        index.delete(["a"])
        index.add([Document(id="b", text="only grass")])
        assert ids(index.search("ship", mode="lexical")) == []
        assert set(ids(index.search("ship", mode="dense"))) == {"b", "c"}
        assert index.search("grass", top=1).hits[0].snippet == "only grass"


def timeless(results: Results | ClozeError) -> object:
    if isinstance(results, ClozeError):
        return str(results)
    return replace(results, took_ms={})


def test_queries_together_are_answered_as_each_alone(library: Index) -> None:
    engine = SearchEngine(library)
    texts = [QUERY, "", "fish in the river", "zzz", "the king of the mountain", "water"]
    requests = [
        *(Request(query=text, mode=mode) for text in texts for mode in (None, *MODES)),
        Request(query=QUERY, filter=parse("year < 2005"), facets=("year",), count=True),
        Request(query=QUERY, depth=7, fusion="rrf"),
        Request(query=QUERY, collapse=True, offset=3, passages=2),
        Request(query=QUERY, filter=parse("nowhere = 1")),
        Request(query=QUERY, weight=7),
        Request(query="", facets=("nowhere",)),
    ]
    together = engine.search_many(requests)
    assert all(isinstance(each, ClozeError) for each in together[-3:])
    for request, found in zip(requests, together, strict=True):
        (alone,) = engine.search_many([request])
        assert timeless(found) == timeless(alone)
    vectors = [None if n % 2 else library.encoder.encode_queries([r.query])[0]
               for n, r in enumerate(requests)]  # fmt: skip
    assert [*map(timeless, engine.search_many(requests, vectors))] == [*map(timeless, together)]
    engine.close()


def test_a_wrong_filter_leaves_the_others_together(
    library: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SearchEngine(library)
    requests = [
        Request(query=f"{text} water", filter=parse("nowhere = 1") if wrong else None)
        for text, wrong in (("a", False), ("b", True), ("c", False), ("d", True), ("e", False))
    ]
    encoded: list[int] = []
    searched: list[int] = []
    encode, search = library.encoder.encode_queries, library.dense.search_many

    def encodes(texts: Sequence[str]) -> NDArray[np.float32]:
        encoded.append(len(texts))
        return encode(texts)

    def searches(
        queries: NDArray[np.float32], depth: int, allowed: Sequence[NDArray[np.int64] | None]
    ) -> list[Nearest]:
        searched.append(len(queries))
        return search(queries, depth, allowed)

    monkeypatch.setattr(library.encoder, "encode_queries", encodes)
    monkeypatch.setattr(library.dense, "search_many", searches)
    found = engine.search_many(requests)
    assert [isinstance(each, ClozeError) for each in found] == [False, True, False, True, False]
    assert encoded == searched == [3]
    with pytest.raises(ClozeError, match="nowhere"):
        engine.rank(requests[1:2])
    engine.close()


def test_the_library_answers_many(library: Index) -> None:
    texts = ["water", "a fish", ""]
    assert [*map(timeless, library.search_many(texts, top=3))] == [
        timeless(library.search(text, top=3)) for text in texts
    ]
    with pytest.raises(ClozeError, match="nowhere"):
        library.search_many(texts, filter="nowhere = 1")
    with pytest.raises(ClozeError, match="one text"):
        library.search_many("water")


def test_without_highlights_a_snippet_is_the_beginning_of_the_passage(library: Index) -> None:
    plain = library.search(QUERY, top=20, highlight=False).hits
    marked = library.search(QUERY, top=20).hits
    assert without_rank(plain) == without_rank(marked)
    assert not any(hit.highlights for hit in plain)
    assert any(hit.highlights for hit in marked)
    assert all(hit.snippet_start == hit.passage.start for hit in plain)


def test_the_version_names_the_commit(tiny_model: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", Settings(model=str(tiny_model))) as index:
        before = index.search("water").index_version
        published: list[str] = []
        index.add(
            [Document(id="a", text="water")],
            published=lambda _: published.append(index.search("water").index_version),
        )
        assert index.search("water").index_version == published[0] != before


def test_a_lexical_stage_that_was_begun_counts_for_its_own_commit_and_depth_alone(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(query="water")
    with Index.open(tmp_path / "index", Settings(model=str(tiny_model))) as index:
        index.add([Document(id="a", text="water"), Document(id="b", text="a red ship")])
        engine = SearchEngine(index)
        ahead = engine.begin(request)
        assert ahead is not None
        (numbers, _), _ = ahead.found.result()
        assert numbers.tolist() == [1]
        submitted: list[object] = []
        submit = engine._side.submit

        def noted(task: Callable[..., Any], *rest: object) -> Any:  # noqa: ANN401
            submitted.append(task)
            return submit(task, *rest)

        monkeypatch.setattr(engine._side, "submit", noted)

        def answered(asked: Request, *, uses_it: bool) -> list[str]:
            submitted.clear()
            (found,) = engine.search_many([asked], None, [ahead])
            assert len(submitted) == (not uses_it)
            (alone,) = engine.search_many([asked])
            assert isinstance(found, Results) and isinstance(alone, Results)
            assert replace(found, took_ms={}) == replace(alone, took_ms={})
            return [hit.id for hit in found.hits if hit.stages["lexical"]]

        assert answered(request, uses_it=True) == ["a"]
        assert answered(replace(request, depth=1), uses_it=False) == ["a"]
        with Index.open(index.folder) as other:
            other.add([Document(id="c", text="water")])
        assert sorted(answered(request, uses_it=False)) == ["a", "c"]
        engine.close()


def test_what_was_begun_keeps_no_search_waiting_and_is_dropped_with_its_commit(
    tiny_model: Path, tmp_path: Path
) -> None:
    held, end = Event(), Event()

    def hold() -> None:
        held.set()
        assert end.wait(30)

    request = Request(query="water")
    with Index.open(tmp_path / "index", Settings(model=str(tiny_model))) as index:
        index.add([Document(id="a", text="water")])
        engine = SearchEngine(index)
        engine._ahead.submit(hold)
        assert held.wait(30)
        begun = [engine.begin(request) for _ in range(3)]
        for mode in MODES:
            assert ids(engine.search(replace(request, mode=mode))) == ["a"]
        assert not any(each.found.done() for each in begun if each is not None)
        index.add([Document(id="b", text="water")])
        (found,) = engine.search_many([request], None, begun[:1])
        assert isinstance(found, Results)
        assert ids(found) == ["a", "b"]
        assert [each.found.cancelled() for each in begun if each] == [True, False, False]
        engine.close()
        assert [each.found.cancelled() for each in begun if each] == [True, True, True]
        end.set()


def test_a_lexical_stage_is_begun_where_it_needs_no_filter_and_the_engine_is_open(
    library: Index,
) -> None:
    engine = SearchEngine(library)
    request = Request(query="water")
    assert engine.begin(request) is not None
    assert engine.begin(replace(request, mode="dense")) is None
    assert engine.begin(replace(request, filter=parse("year < 2005"))) is None
    engine.close()
    assert engine.begin(request) is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fusion", ["minmax", "rrf"])
def test_many_queries_rank_as_each_alone(library: Index, mode: Mode, fusion: Fusion) -> None:
    engine = SearchEngine(library)
    requests = [
        Request(query=query, mode=mode, fusion=fusion, top=7) for query in (QUERY, "ship", "zzzzz")
    ]
    ranked = engine.rank_each(requests)
    for request, found in zip(requests, ranked, strict=True):
        assert list(found.pairs) == without_rank(engine.search(request).hits)
        assert (found.vector is None) == (mode == "lexical")
        if found.vector is not None:
            expected = library.encoder.encode_queries([request.query])[0]
            assert np.array_equal(found.vector, expected)
    assert ranked[0].pairs


def test_ranking_without_vectors_is_refused(words_only: Index) -> None:
    with pytest.raises(ClozeError, match="was built with --lexical-only"):
        SearchEngine(words_only).rank_each([Request(query=QUERY, mode="dense")])
