"""What a reranker reads: passages as the encoder saw them, or windows with most of the words."""

import hashlib
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import DamagedIndexError
from search.index import Index
from search.reranking.candidates import read_candidates
from search.reranking.crossencoder import PASSAGES
from search.reranking.reranker import Candidate

QUERY = "the supersonic ship under water"
LONG_TITLE = " ".join(["water", "ship", "bear", "cat"] * 10)


@pytest.fixture(scope="module")
def library(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("read") / "index"
    with Index.open(folder, Settings(model=str(tiny_model), passage_overlap=8)) as index:
        index.add(documents)
        index.add([Document(id="long title", title=LONG_TITLE, text="a ship. " * 60)])
        yield index


def all_of(index: Index, vector: "np.typing.NDArray[np.float32] | None") -> dict[str, Candidate]:
    numbers = {
        row.number: name for name, row in index.store.live(list(index.store.live_ids())).items()
    }
    with index.reading():
        found = read_candidates(index, QUERY, vector, list(numbers), PASSAGES)
    assert all(found[number].number == number for number in numbers)
    return {numbers[number]: candidate for number, candidate in found.items()}


def test_passages_are_the_nearest_as_the_encoder_saw_them(
    library: Index, documents: list[Document]
) -> None:
    vector = library.encoder.encode_queries([QUERY])[0]
    found = all_of(library, vector)
    with sqlite3.connect(library.data / "store.sqlite") as store:
        rows = store.execute('SELECT passage, "start", "end", "key" FROM passages').fetchall()
    store.close()
    stored = {passage: (start, end, key) for passage, start, end, key in rows}
    texts = {document.id: document.text for document in documents}
    texts["long title"] = "a ship. " * 60
    counts = set()
    for name, candidate in found.items():
        counts.add(len(candidate.passages))
        own = [passage for passage in stored if passage >> 20 == candidate.number]
        assert len(candidate.passages) == min(PASSAGES, len(own))
        for passage in candidate.passages:
            assert passage.number is not None
            start, end, key = stored[passage.number]
            assert (passage.start, passage.end) == (start, end)
            assert hashlib.blake2b(passage.text.encode(), digest_size=16).digest() == key
            assert passage.text[passage.lead :] == texts[name][start:end]
        nearest = library.dense.passages(candidate.number, vector)[:PASSAGES]
        assert [passage.number for passage in candidate.passages] == [each for each, _ in nearest]
    assert counts == {0, 1, 2, 3}
    assert found["nothing"].passages == ()
    assert [passage.text for passage in found["only a title"].passages] == ["the supersonic ship"]
    assert not found["long title"].passages[0].text.startswith(LONG_TITLE)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index.open(
        tmp_path_factory.mktemp("words") / "index", Settings(lexical_only=True)
    ) as index:
        yield index


def windows(index: Index, title: str, text: str, query: str = QUERY) -> Candidate:
    index.add([Document(id="a", title=title, text=text)])
    number = index.store.live(["a"])["a"].number
    with index.reading():
        return read_candidates(index, query, None, [number], PASSAGES)[number]


WORDS = ["ship", "water", "bear", "x" * 700, "x" * 1700, "word " * 150, "水火。"]
ENDS = [" ", ". ", ".\n", "\n\n ", "  "]


def test_windows_are_pieces_of_the_text_with_most_words(words: Index) -> None:
    choose = random.Random(0)
    texts = [
        "".join(choose.choice(WORDS) + choose.choice(ENDS) for _ in range(choose.randint(0, 30)))
        for _ in range(150)
    ]
    names = [f"w{number}" for number in range(len(texts))]
    words.add(
        Document(id=name, title="Ships", text=text) for name, text in zip(names, texts, strict=True)
    )
    rows = words.store.live(names)
    with words.reading():
        found = read_candidates(words, QUERY, None, [row.number for row in rows.values()], PASSAGES)
    counts = Counter(len(candidate.passages) for candidate in found.values())
    assert set(counts) == {1, 2, 3}
    for name, text in zip(names, texts, strict=True):
        check_windows(words, found[rows[name].number], text)


def check_windows(words: Index, candidate: Candidate, text: str) -> None:
    asked = set(words.analyzer.terms(QUERY))

    def worth(start: int, end: int) -> tuple[int, int]:
        terms = [term for term in words.analyzer.terms(text[start:end]) if term in asked]
        return len(set(terms)), len(terms)

    spans = [(passage.start, passage.end) for passage in candidate.passages]
    for passage in candidate.passages:
        assert passage.number is None
        assert passage.end - passage.start <= 1000
        window = text[passage.start : passage.end]
        assert passage.text == (f"Ships {window}" if window else "Ships")
    assert all(one[1] <= two[0] for one, two in pairwise(sorted(spans)))
    if len(spans) < PASSAGES:  # then all of the text is read
        left = text
        for start, end in sorted(spans, reverse=True):
            left = left[:start] + left[end:]
        assert not left.strip()
    values = [worth(*span) for span in spans]
    assert values == sorted(values, reverse=True)


def test_the_window_with_the_words_is_found(words: Index) -> None:
    filler = "A quiet bear slept by the wall of the garden. " * 60
    text = f"{filler}The supersonic ship went under. {filler}Water, ship. {filler}"
    candidate = windows(words, "", text)
    assert len(candidate.passages) == PASSAGES
    assert "supersonic ship went under" in candidate.passages[0].text
    assert "Water, ship" in candidate.passages[1].text
    assert candidate.passages[2].start == 0  # of those without a word the first
    assert all(passage.lead == 0 for passage in candidate.passages)


@pytest.mark.parametrize("dense", [True, False])
def test_no_more_passages_are_read_than_asked_for(library: Index, dense: bool) -> None:
    vector = library.encoder.encode_queries([QUERY])[0] if dense else None
    with library.reading():
        numbers = library.store.numbers(library.sequence).tolist()
        all_three = read_candidates(library, QUERY, vector, numbers, 3)
        for count in (1, 2):
            found = read_candidates(library, QUERY, vector, numbers, count)
            for number in numbers:
                assert found[number].passages == all_three[number].passages[:count]


def test_texts_that_are_empty_or_have_no_end(words: Index) -> None:
    assert windows(words, "", " \n ").passages == ()
    assert windows(words, " ", "").passages == ()
    title = windows(words, "a ship", "").passages
    assert [(each.text, each.start, each.end, each.lead) for each in title] == [("a ship", 0, 0, 6)]
    endless = windows(words, "", "x" * 1_000_000)
    assert [each.end - each.start for each in endless.passages] == [1000] * PASSAGES
    assert windows(words, "", "only grass", query="…").passages[0].text == "only grass"


def test_a_damaged_text_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add([Document(id="b", text="a ship at sea")])
    with sqlite3.connect(folder / "store.sqlite") as store:
        store.execute("UPDATE contents SET text = 'a shiq at sea'")
    store.close()
    with Index.open(folder) as index, pytest.raises(DamagedIndexError, match="document 'b'"):
        read_candidates(index, "ship", None, [1], PASSAGES)
