"""What an answer says of itself: BM25 by Lucene's formula, parts that add up, facets, collapse."""

import math
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError, DamagedIndexError
from indexer.near_duplicates import representatives, sketch
from search.hits import Fusion, Mode
from search.index import Index

MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")
TITLE_WEIGHT = 3
K1, B = 1.2, 0.75
# Two forms of one word, a word twice, a stop word, and one that no document has.
QUERY = "ships of the ship under water, water: a xylophone"


@pytest.fixture(scope="module")
def explained(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("explained") / "index"
    settings = Settings(model=str(tiny_model), passage_overlap=8, title_weight=TITLE_WEIGHT)
    with Index.open(folder, settings) as index:
        index.add(documents)
        yield index


def kept_length(length: int) -> int:
    """Round a length as Lucene's SmallFloat.intToByte4 does: exact below 40, then four bits."""
    if length < 24:
        return length
    shift = max(0, (length - 24).bit_length() - 4)
    return 24 + ((length - 24) >> shift << shift)


def test_lengths_are_rounded_as_lucene_does() -> None:
    assert [kept_length(n) for n in (0, 23, 24, 39, 40, 41, 42, 55, 57, 60, 63)] == [
        0, 23, 24, 39, 40, 40, 42, 54, 56, 60, 60,
    ]  # fmt: skip


def by_hand(index: Index, documents: list[Document]) -> dict[str, dict[str, tuple[float, ...]]]:
    """Compute (score, idf, tf, frequency, length factor, documents) by document and term."""
    asked = Counter(index.analyzer.terms(QUERY))
    bodies = {
        d.id: index.analyzer.terms(d.title) * TITLE_WEIGHT + index.analyzer.terms(d.text)
        for d in documents
    }
    mean = sum(map(len, bodies.values())) / len(bodies)
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for term, count in asked.items():
        holding = sum(term in body for body in bodies.values())
        idf = math.log(1 + (len(bodies) - holding + 0.5) / (holding + 0.5))
        for name, body in bodies.items():
            if frequency := body.count(term):
                factor = 1 - B + B * kept_length(len(body)) / mean
                tf = frequency * (K1 + 1) / (frequency + K1 * factor)
                numbers = (count * idf * tf, idf, tf, frequency, factor, holding)
                found.setdefault(name, {})[term] = numbers
    return found


@pytest.mark.parametrize("filter", [None, "year > 2005"])
def test_terms_are_bm25_by_the_formula(
    explained: Index, documents: list[Document], filter: str | None
) -> None:
    expected = by_hand(explained, documents)
    results = explained.search(QUERY, mode="lexical", top=1000, explain=True, filter=filter)
    assert len(results.hits) > 10
    for hit in results.hits:
        assert hit.explanation is not None
        told = {
            each.term: (
                each.score, each.idf, each.tf, each.frequency, each.length_factor, each.documents,
            )
            for each in hit.explanation.terms
        }  # fmt: skip
        assert told.keys() == expected[hit.id].keys()
        for term, numbers in told.items():
            assert numbers == pytest.approx(expected[hit.id][term], rel=1e-5)
        scores = [each.score for each in hit.explanation.terms]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(hit.score, rel=1e-6)


def test_terms_name_the_words_that_they_came_from(explained: Index) -> None:
    hits = explained.search(QUERY, mode="lexical", top=1000, explain=True).hits
    terms = {t.term: t for hit in hits if hit.explanation for t in hit.explanation.terms}
    assert {term: (each.words, each.query_count) for term, each in terms.items()} == {
        "ship": (("ships", "ship"), 2),
        "under": (("under",), 1),
        "water": (("water",), 2),
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fusion", ["minmax", "rrf"])
def test_parts_add_up_to_the_score(explained: Index, mode: Mode, fusion: Fusion) -> None:
    options: dict[str, Any] = {"mode": mode, "fusion": fusion, "weight": 0.3, "depth": 40}
    hits = explained.search(QUERY, top=100, explain=True, **options).hits
    seen = set()
    for hit in hits:
        explanation = hit.explanation
        assert explanation is not None
        parts = {part.stage: part for part in explanation.parts}
        seen.add(frozenset(parts))
        assert sum(part.value for part in explanation.parts) == hit.score
        places = {s: p for s, p in hit.stages.items() if p and s != "fused"}
        assert {s: (p.rank, p.score) for s, p in parts.items()} == {
            s: (p.rank, p.score) for s, p in places.items()
        }
        for part in explanation.parts:
            if mode != "hybrid":
                assert part.value == part.score
            elif fusion == "rrf":
                assert part.value == 1 / (60 + part.rank)
            else:
                assert part.normalised is not None
                assert part.weight == (0.3 if part.stage == "dense" else 0.7)
                assert part.value == part.weight * part.normalised
        assert bool(explanation.terms) == ("lexical" in parts)
        if "dense" in parts:
            assert explanation.passage == hit.passages[0]
            assert hit.passages[0].score == parts["dense"].score
        else:
            assert explanation.passage is None
    expected = [{"lexical"}, {"dense"}, {"lexical", "dense"}] if mode == "hybrid" else [{mode}]
    assert seen == set(map(frozenset, expected))
    plain = explained.search(QUERY, top=100, **options)
    assert [(hit.id, hit.score) for hit in hits] == [(hit.id, hit.score) for hit in plain.hits]
    assert plain.plan is None
    assert all(hit.explanation is None for hit in plain.hits)


def test_the_plan_tells_what_ran(explained: Index, documents: list[Document]) -> None:
    young = sum(d.metadata.get("year", 0) > 2005 for d in documents)
    found = explained.search(QUERY, top=3, filter="year > 2005", depth=20, explain=True)
    plan = found.plan
    assert plan is not None
    assert (plan.fusion, plan.depth, plan.passed) == ("minmax", 20, young)
    alone = {
        mode: {
            hit.id
            for hit in explained.search(
                QUERY, top=20, filter="year > 2005", depth=20, mode=mode
            ).hits
        }
        for mode in ("lexical", "dense")
    }
    assert plan.candidates == {
        "lexical": len(alone["lexical"]),
        "dense": len(alone["dense"]),
        "fused": len(alone["lexical"] | alone["dense"]),
    }
    assert plan.vectors is not None
    assert plan.vectors.recall == 1.0
    assert young <= plan.vectors.passages < explained.dense.count
    lexical = explained.search(QUERY, mode="lexical", explain=True).plan
    assert lexical is not None
    assert (lexical.fusion, lexical.passed, lexical.vectors) == (None, None, None)


@pytest.mark.parametrize("mode", MODES)
def test_facets_count_the_candidates(
    explained: Index, documents: list[Document], mode: Mode
) -> None:
    found = explained.search(QUERY, top=1, mode=mode, depth=30, facets=("lang", "year")).facets
    fetched = {hit.id for hit in explained.search(QUERY, top=100, mode=mode, depth=30).hits}
    assert found is not None
    assert found.counted == len(fetched)
    for field in ("lang", "year"):
        counts = Counter(
            d.metadata[field] for d in documents if d.id in fetched and field in d.metadata
        )
        told = [(each.value, each.count) for each in found.fields[field]]
        assert len(told) == min(10, len(counts))
        assert all(counts[value] == count for value, count in told)
        assert [count for _, count in told] == sorted(counts.values(), reverse=True)[:10]


def test_facets_of_a_query_without_an_answer(explained: Index) -> None:
    for query, mode in ((" ", "hybrid"), ("xylophone", "lexical")):
        found = explained.search(query, mode=mode, facets=("lang",)).facets  # type: ignore[arg-type]
        assert found is not None
        assert (found.counted, found.fields) == (0, {"lang": ()})
        with pytest.raises(ClozeError, match="langs"):
            explained.search(query, facets=("langs",))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fusion", ["minmax", "rrf"])
def test_near_duplicates_are_folded(
    explained: Index, documents: list[Document], mode: Mode, fusion: Fusion
) -> None:
    query, options = documents[19].text, {"mode": mode, "fusion": fusion}
    plain = explained.search(query, top=1000, **options).hits  # type: ignore[arg-type]
    texts = {d.id: d.text for d in documents}
    first = representatives([sketch(texts[hit.id]) for hit in plain])
    kept = [hit for row, hit in enumerate(plain) if first[row] == row]
    assert len(kept) < len(plain)
    page = explained.search(query, top=5, offset=0, collapse=True, **options).hits  # type: ignore[arg-type]
    assert [(hit.id, hit.score, hit.stages) for hit in page] == [
        (hit.id, hit.score, hit.stages) for hit in kept[:5]
    ]
    assert [hit.rank for hit in page] == [1, 2, 3, 4, 5]
    assert (page[0].id, page[0].duplicates) == ("d19", ("d20", "d21", "d22"))
    assert page[1].duplicates == ()
    whole = explained.search(query, top=1000, collapse=True, **options).hits  # type: ignore[arg-type]
    assert [hit.id for hit in whole] == [hit.id for hit in kept]
    assert sum(len(hit.duplicates or ()) for hit in whole) == len(plain) - len(kept)
    later = explained.search(query, top=3, offset=2, collapse=True, **options).hits  # type: ignore[arg-type]
    assert [(hit.rank, hit.id) for hit in later] == [(3 + n, kept[2 + n].id) for n in range(3)]
    ranked = explained.rank(query, top=5, collapse=True, **options)  # type: ignore[arg-type]
    assert ranked == [(hit.id, hit.score) for hit in page]


def test_a_filter_of_another_kind_is_told(explained: Index) -> None:
    found = explained.search(QUERY, filter='year = "2000"')
    assert found.hits == ()
    assert len(found.notices) == 1
    assert "year" in found.notices[0]
    assert explained.search(QUERY, filter="year = 2000").notices == ()


@pytest.mark.parametrize("column", ["title", "text"])
def test_a_damaged_text_is_never_shown(tmp_path: Path, column: str) -> None:
    folder = tmp_path / "index"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add([Document(id=each, title="a ship", text="a ship at sea") for each in ("a", "b")])
    with sqlite3.connect(folder / "store.sqlite") as store:
        store.execute(f"UPDATE contents SET {column} = replace({column}, 'ship', 'shiq') "
                      "WHERE number = (SELECT number FROM documents WHERE id = 'b')")  # fmt: skip
    store.close()
    with Index.open(folder) as index:
        assert [hit.id for hit in index.search("ship", top=1).hits] == ["a"]
        with pytest.raises(DamagedIndexError, match=r"document 'b' .*cloze verify .*index"):
            index.search("ship")


def test_a_lost_text_is_damage(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add([Document(id="a", text="a ship at sea")])
    with sqlite3.connect(folder / "store.sqlite") as store:
        store.execute("DELETE FROM contents")
    store.close()
    with Index.open(folder) as index, pytest.raises(DamagedIndexError, match="document number 1 "):
        index.search("ship")
