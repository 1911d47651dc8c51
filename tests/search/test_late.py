"""Late interaction against the formula in plain Python, stored and live, and what it can't do."""

import math
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.analysis import Token
from indexer.creation import Settings
from indexer.documents import Document
from indexer.encoder import TokenVectors
from indexer.errors import ClozeError, DamagedIndexError
from search.index import Index
from search.reranking import late as late_module
from search.reranking.candidates import read_candidates
from search.reranking.late import PASSAGES, LateInteraction, best_products
from search.reranking.reranker import Candidate, CandidatePassage
from search.reranking.words import weighed
from tests.conftest import WORDS

QUERIES = [
    "the supersonic ship under water",
    "bears, bears & foxes of the moon?",
    "of the",
    "?!",
    "用搜索引擎 moon",
    "xylophone",
    "🦄 ship",
]


@pytest.fixture(scope="module")
def stored(
    documents: list[Document], other_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    """An index with token vectors; its model has prompts."""
    yield from opened(documents, other_model, tmp_path_factory, token_vectors=True)


@pytest.fixture(scope="module")
def live(
    documents: list[Document], other_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    """The same without."""
    yield from opened(documents, other_model, tmp_path_factory, token_vectors=None)


def opened(
    documents: list[Document],
    model: Path,
    places: pytest.TempPathFactory,
    *,
    token_vectors: bool | None,
) -> Iterator[Index]:
    asked = Settings(model=str(model), token_vectors=token_vectors)
    with Index.open(places.mktemp("late") / "index", asked) as index:
        index.add(documents)
        yield index


def candidates(index: Index, query: str, count: int = 40) -> list[Candidate]:
    vector = index.encoder.encode_queries([query])[0]
    with index.reading():
        numbers = index.store.numbers(index.sequence).tolist()[:count]
        found = read_candidates(index, query, vector, numbers, PASSAGES)
    return [found[number] for number in numbers]


def codes_by_hand(index: Index, tokens: TokenVectors) -> tuple[list[Any], list[tuple[int, int]]]:
    """Project, normalise and round the tokens of the text; return them with their places."""
    matrix = index.token_coder.matrix.astype(np.float64)
    scale = 127 * matrix.shape[1] ** 0.5 / 6
    kept, spans = [], []
    for span, vector in zip(tokens.offsets, tokens.vectors, strict=True):
        if span != (0, 0):
            row = vector.astype(np.float64) @ matrix
            kept.append(np.clip(np.round(scale * row / np.linalg.norm(row)), -127, 127) / scale)
            spans.append(span)
    return kept, spans


def weights_by_hand(index: Index, query: str, spans: Sequence[tuple[int, int]]) -> list[float]:
    """Weigh tokens by the root of their term's idf, shared among the tokens of the word."""
    texts = [set(index.analyzer.terms(f"{d.title} {d.text}")) for _, d in index.store.all_live()]
    owners: list[Token | None] = []
    for start, end in spans:
        over = [t for t in index.analyzer.tokens(query) if t.start < end and start < t.end]
        owners.append(over[0] if over else None)
    pieces = Counter(owners)
    weights = []
    for owner in owners:
        if owner is None:
            weights.append(0.0)
            continue
        df = sum(owner.term in text for text in texts)
        idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
        weights.append(math.sqrt(idf) / pieces[owner])
    total = sum(weights)
    return [each / total if total else 1 / len(weights) for each in weights]


def scores_by_hand(index: Index, query: str, read: Sequence[Candidate]) -> Iterator[list[float]]:
    """Yield the scores of each document's passages."""
    asked, spans = codes_by_hand(index, index.encoder.query_tokens([query])[0])
    weights = weights_by_hand(index, query, spans)
    for candidate in read:
        scores = []
        for passage in candidate.passages:
            tokens, _ = codes_by_hand(index, index.encoder.document_tokens([passage.text])[0])
            best = [max(float(q @ d) for d in tokens) for q in asked]
            scores.append(sum(w * b for w, b in zip(weights, best, strict=True)))
        yield scores


@pytest.mark.parametrize("query", QUERIES)
def test_scores_are_the_formula(stored: Index, query: str) -> None:
    read = candidates(stored, query)
    seconds = 0
    found = LateInteraction(stored).score(query, read)
    for expected, scored in zip(scores_by_hand(stored, query, read), found, strict=True):
        if not expected:
            assert scored.score is None
            continue
        assert scored.score == pytest.approx(max(expected), abs=1e-9)
        assert expected[scored.passage] == pytest.approx(max(expected), abs=1e-9)
        seconds += scored.passage
    assert seconds
    assert {len(each.passages) for each in read} == {0, 1, 2}


@pytest.mark.parametrize("query", QUERIES)
def test_stored_and_live_score_alike_bit_for_bit(stored: Index, live: Index, query: str) -> None:
    read = candidates(stored, query)
    assert read == candidates(live, query)
    first = LateInteraction(stored).score(query, read)
    assert LateInteraction(live).score(query, read) == first
    assert LateInteraction(stored).content_hash == LateInteraction(live).content_hash
    # What has no number was cut for the query alone.
    cut = [
        Candidate(
            number=each.number,
            title=each.title,
            passages=tuple(
                CandidatePassage(number=None, text=p.text, start=p.start, end=p.end)
                for p in each.passages
            ),
        )
        for each in read
    ]
    assert LateInteraction(stored).score(query, cut) == first


def test_a_score_depends_on_nothing_else(stored: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    read = candidates(stored, QUERIES[0])
    late = LateInteraction(stored)
    whole = late.score(QUERIES[0], read)
    assert [late.score(QUERIES[0], [each])[0] for each in read] == whole
    order = random.Random(1).sample(range(len(read)), len(read))
    assert late.score(QUERIES[0], [read[place] for place in order]) == [whole[p] for p in order]
    monkeypatch.setattr(late_module, "_AT_ONCE", 7)
    assert late.score(QUERIES[0], read) == whole


def test_only_what_lacks_codes_is_encoded(stored: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    read = candidates(stored, QUERIES[0])
    late = LateInteraction(stored)
    expected = late.score(QUERIES[0], read)
    texts: list[str] = []
    real = stored.encoder.documents_with_tokens

    def watched(given: Sequence[str]) -> Any:  # noqa: ANN401
        texts.extend(given)
        return real(given)

    monkeypatch.setattr(stored.encoder, "documents_with_tokens", watched)
    assert late.score(QUERIES[0], read) == expected
    assert texts == []
    lost = read[4].passages[0]
    kept = stored.store.token_codes
    monkeypatch.setattr(
        stored.store,
        "token_codes",
        lambda each: {k: v for k, v in kept(each).items() if k != lost.number},
    )
    assert late.score(QUERIES[0], read) == expected
    assert texts == [lost.text]


def test_damaged_codes_are_told_and_not_answered_from(
    documents: list[Document], tiny_model: Path, tmp_path: Path
) -> None:
    with Index.open(tmp_path / "x", Settings(model=str(tiny_model), token_vectors=True)) as index:
        index.add(documents[:20])
        assert index.search("ship", rerank="late").hits
    with sqlite3.connect(tmp_path / "x" / "store.sqlite") as store:
        store.execute("UPDATE token_vectors SET codes = zeroblob(length(codes))")
    store.close()
    with Index.open(tmp_path / "x") as index:
        assert index.search("ship").hits
        with pytest.raises(
            DamagedIndexError, match=r"the token vectors of passage .* cloze reindex"
        ):
            index.search("ship", rerank="late")


@pytest.mark.parametrize("query", QUERIES)
def test_alignments_add_up_to_the_score(stored: Index, query: str) -> None:
    late = LateInteraction(stored)
    read = candidates(stored, query)
    places = 0
    scores = late.score(query, read)
    led = [each.led_by(scored.passage) for each, scored in zip(read, scores, strict=True)]
    together = late.align_all(query, led)
    assert together == [late.align_all(query, [each])[0] for each in led]
    for candidate, scored, found in zip(led, scores, together, strict=True):
        if scored.score is None:
            assert found == ()
            continue
        assert sum(each.weight for each in found) == pytest.approx(1)
        assert sum(e.weight * e.similarity for e in found) == pytest.approx(scored.score, abs=1e-6)
        passage = candidate.passages[0]
        for each in found:
            assert each.word in query
            assert each.weight > 0
            inside = passage.start <= each.start < each.end <= passage.end
            assert inside or (each.start, each.end) == (0, 0)
            places += inside
    assert places > len(read) / 2


def test_stored_and_live_align_alike_and_what_is_stored_is_not_encoded(
    stored: Index, live: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = candidates(stored, QUERIES[0])
    first, second = LateInteraction(stored), LateInteraction(live)
    passes: list[int] = []
    real = live.encoder.documents_with_tokens

    def watched(texts: Sequence[str]) -> Any:  # noqa: ANN401
        passes.append(len(texts))
        return real(texts)

    monkeypatch.setattr(live.encoder, "documents_with_tokens", watched)
    expected = second.align_all(QUERIES[0], read)
    assert passes == [sum(bool(each.passages) for each in read)]
    monkeypatch.setattr(stored.encoder, "documents_with_tokens", None)
    assert first.align_all(QUERIES[0], read) == expected


def test_a_word_meets_itself(tiny_model: Path, tmp_path: Path) -> None:
    """By a random model a text is most like itself; each word is aligned with its own."""
    text = "Above the river a small supersonic ship sleeps."
    with Index.open(tmp_path / "x", Settings(model=str(tiny_model))) as index:
        index.add([Document(id="a", text=text), Document(id="b", title="Moon", text=text)])
        (hit,) = (hit for hit in index.search(text, explain=True).hits if hit.id == "a")
        assert hit.explanation is not None
        found = hit.explanation.alignments
        words = ["Above", "river", "small", "supersonic", "ship", "sleeps"]
        assert [each.word for each in found] == words
        assert [text[each.start : each.end] for each in found] == words
        assert all(each.similarity == pytest.approx(1, abs=0.02) for each in found)
        (hit,) = (hit for hit in index.search("moon", explain=True).hits if hit.id == "b")
        assert hit.explanation is not None
        (only,) = hit.explanation.alignments
        assert (only.word, only.weight) == ("moon", 1)


@settings(max_examples=25)
@given(st.lists(st.sampled_from([*WORDS[:40], "supersonic", "ship's", "xyzzy", "?"]), max_size=12))
def test_weights_add_up_and_follow_the_words(stored: Index, words: list[str]) -> None:
    query = " ".join(words)
    tokens = stored.encoder.query_tokens([query])[0]
    _, spans = codes_by_hand(stored, tokens)
    terms = list(stored.analyzer.tokens(query))
    idf = stored.lexical.idf({term.term for term in terms})
    found = np.zeros(len(spans))
    for word in weighed(spans, terms, idf):
        found[list(word.rows)] += word.weight
    assert found.tolist() == pytest.approx(weights_by_hand(stored, query, spans) if spans else [])


@given(
    st.integers(0, 4), st.lists(st.integers(0, 5), max_size=6), st.integers(1, 6),
    st.integers(0, 99),
)  # fmt: skip
def test_products_are_those_of_brute_force(
    asked: int, lengths: list[int], dimension: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    query = draw.integers(-127, 128, (asked, dimension)).astype(np.float32)
    passages = [draw.integers(-127, 128, (each, dimension)).astype(np.int8) for each in lengths]
    expected = [
        [max((int(q @ d.astype(int)) for d in each), default=-math.inf) for q in query.astype(int)]
        for each in passages
    ]
    assert best_products(query, passages).tolist() == expected


def test_idf_is_that_of_the_lexical_explanation(stored: Index) -> None:
    hits = stored.search(QUERIES[0], mode="lexical", explain=True, top=50).hits
    parts = {p.term: p for hit in hits if hit.explanation for p in hit.explanation.terms}
    found = stored.lexical.idf(parts)
    assert set(found) == {"superson", "ship", "under", "water"}
    assert all(found[term] == pytest.approx(part.idf, rel=1e-5) for term, part in parts.items())


def test_a_query_is_encoded_once_for_a_commit(
    documents: list[Document], tiny_model: Path, tmp_path: Path
) -> None:
    with Index.open(tmp_path / "x", Settings(model=str(tiny_model))) as index:
        index.add(documents[:20])
        late = LateInteraction(index)
        first = late._ask("ship moon")
        assert late._ask("ship moon") is first
        index.add([Document(id=f"n{number}", text="moon") for number in range(9)])
        index.refresh()
        assert late._ask("ship moon").words != first.words  # moon's idf is another


def test_an_index_without_vectors_names_reindex(documents: list[Document], tmp_path: Path) -> None:
    with Index.open(tmp_path / "x", Settings(lexical_only=True)) as index:
        index.add(documents[:5])
        with pytest.raises(ClozeError, match=r"--rerank late needs an encoder; .*cloze reindex"):
            index.search("ship", rerank="late")


def test_by_words_alone_it_reads_what_was_cut_for_the_query(stored: Index) -> None:
    found = stored.search("supersonic ship", mode="lexical", rerank="late", top=5).hits
    assert found
    assert all(hit.stages["rerank"] for hit in found)


def test_words_that_the_model_does_not_know_meet_nothing(live: Index) -> None:
    candidates = [
        Candidate(
            number=1, title="", passages=(CandidatePassage(number=None, text="🐧", start=0, end=1),)
        )
    ]
    (scored,) = LateInteraction(live).score("🦄", candidates)
    assert scored.score is None
    assert live.encoder.unknown_id == live.encoder.tokenizer.token_to_id("[UNK]")
