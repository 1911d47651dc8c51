"""Passages: windows of whole sentences that lose nothing, by hand and over random documents."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.models import find_model
from indexer.passages import Cut, PassageRule, cut

SPECIAL_TOKENS = 2


def offsets(text: str) -> list[tuple[int, int]]:
    """A tokenizer of our own: words, single Chinese characters and single marks."""
    return [match.span() for match in re.finditer(r"[一-龥]|[^\W一-龥]+|[^\w\s]", text)]


def passages(text: str, tokens: int, overlap: int, title: str = "") -> Cut:
    document = Document(id="1", text=text, title=title)
    rule = PassageRule(tokens=tokens, overlap=overlap)
    return cut(document, offsets(title), offsets(text), rule, SPECIAL_TOKENS)


def texts(cut: Cut) -> list[str]:
    return [passage.text for passage in cut.passages]


def test_a_short_text_is_one_passage_as_it_is() -> None:
    text = "  One dog. Two dogs.\n"
    found = passages(text, 20, 4)
    assert [(p.start, p.end, p.text) for p in found.passages] == [(0, len(text), text)]
    assert (found.tokens, found.dropped) == (6, 0)


def test_windows_of_whole_sentences() -> None:
    text = "One dog ran. Two cats sat. Three birds flew off. Four fish."  # 4, 4, 5, 3 tokens
    assert texts(passages(text, 12, 0)) == [
        "One dog ran. Two cats sat.", "Three birds flew off. Four fish.",
    ]  # fmt: skip


def test_neighbours_share_whole_sentences_up_to_the_overlap() -> None:
    text = "One dog ran. Two cats sat. Three birds flew off. Four fish."
    assert texts(passages(text, 12, 4)) == [
        "One dog ran. Two cats sat.", "Two cats sat. Three birds flew off.",
        "Four fish.",  # the five tokens of the sentence before it are more than the overlap
    ]  # fmt: skip
    assert texts(passages(text, 12, 5))[2] == "Three birds flew off. Four fish."
    assert texts(passages(text, 12, 3)) == texts(passages(text, 12, 0))


def test_a_long_sentence_is_cut_between_tokens() -> None:
    text = "a b c d e f g h i j k l. Then more."
    assert texts(passages(text, 7, 0)) == ["a b c d e", "f g h i j", "k l.", "Then more."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("天地水火。日月星海！山风雨。", ["天地水火。", "日月星海！", "山风雨。"]),
        ("He said “go.” Then he went.", ["He said “go.”", "Then he went."]),
        ("no stop here\nbut a new line", ["no stop here", "but a new line"]),
        ("It is 3.5 m. Or e.g. this.", ["It is 3.5 m.", "Or e.g. this."]),
    ],
)
def test_where_sentences_end(text: str, expected: list[str]) -> None:
    tokens = max(len(offsets(sentence)) for sentence in expected) + SPECIAL_TOKENS
    assert texts(passages(text, tokens, 0)) == expected


def test_the_title_is_in_front_of_every_passage() -> None:
    text = "One dog ran. Two cats sat. Three birds flew off."
    found = passages(text, 11, 0, title="My pets")
    assert texts(found) == [
        "My pets One dog ran.", "My pets Two cats sat.", "My pets Three birds flew off.",
    ]  # fmt: skip
    assert found.dropped == 0
    assert [(p.start, p.end) for p in found.passages] == [(0, 12), (13, 26), (27, 48)]


def test_a_long_title_gets_a_quarter_and_the_rest_is_counted() -> None:
    found = passages("dog", 18, 0, title="a b c d e f")
    assert texts(found) == ["a b c d dog"]
    assert (found.dropped, found.tokens) == (2, 7)


@pytest.mark.parametrize("text", ["", " \n "])
def test_without_text_there_is_one_passage_of_the_title(text: str) -> None:
    found = passages(text, 18, 0, title="a dog")
    assert [(p.start, p.end, p.text) for p in found.passages] == [(0, 0, "a dog")]


@pytest.mark.parametrize("title", ["", " "])
def test_without_words_there_is_no_passage(title: str) -> None:
    assert passages(" ", 18, 0, title=title) == Cut(passages=(), tokens=0, dropped=0)


ENGLISH = st.lists(
    st.sampled_from(["dog", "layer", "x", "3", "Boat"]), min_size=1, max_size=14
).map(lambda words: " ".join(["The", *words]) + ".")
CHINESE = st.text("天地水火日月", min_size=1, max_size=14).map(lambda run: run + "。")
SENTENCES = st.lists(st.one_of(ENGLISH, CHINESE), min_size=1, max_size=12)


@given(
    sentences=SENTENCES,
    title=st.lists(st.sampled_from(["sea", "天"]), max_size=9).map(" ".join),
    tokens=st.integers(16, 40),
    overlap=st.integers(0, 20),
)
def test_windows_lose_nothing_and_keep_their_bounds(
    sentences: list[str], title: str, tokens: int, overlap: int
) -> None:
    text = " ".join(sentences)
    found = passages(text, tokens, overlap, title)
    tokens_of_text = offsets(text)
    windows = [(p.start, p.end) for p in found.passages]
    inside = [
        {n for n, (a, b) in enumerate(tokens_of_text) if start <= a and b <= end}
        for start, end in windows
    ]
    assert set().union(*inside) == set(range(len(tokens_of_text)))
    kept_title = len(offsets(title)) - found.dropped
    room = tokens - SPECIAL_TOKENS - kept_title
    assert found.dropped == max(0, len(offsets(title)) - (tokens - SPECIAL_TOKENS) // 4)
    for passage, held in zip(found.passages, inside, strict=True):
        assert passage.text.endswith(text[passage.start : passage.end])
        assert len(offsets(passage.text)) + SPECIAL_TOKENS <= tokens
        assert 0 < len(held) <= room
    for (start, end), (next_start, next_end) in pairwise(windows):
        assert start < next_start and end < next_end
    for held, following in pairwise(inside):
        assert len(held & following) <= min(overlap, room // 2)
        assert min(following) == max(held) + 1 or held & following


@given(sentences=SENTENCES, tokens=st.integers(16, 40), overlap=st.integers(0, 20))
def test_windows_begin_and_end_with_sentences(
    sentences: list[str], tokens: int, overlap: int
) -> None:
    text = " ".join(sentences)
    room = tokens - SPECIAL_TOKENS
    places, position = [], 0
    for sentence in sentences:
        places.append((position, position + len(sentence)))
        position += len(sentence) + 1
    long = [place for place in places if len(offsets(text[slice(*place)])) > room]
    for passage in passages(text, tokens, overlap).passages:
        assert passage.start in {start for start, _ in places} or any(
            start < passage.start < end for start, end in long
        )
        assert passage.end in {end for _, end in places} or any(
            start < passage.end < end for start, end in long
        )


@given(sentences=SENTENCES, tokens=st.integers(16, 30), overlap=st.integers(0, 8))
def test_the_model_can_read_every_window_whole(
    reader: Encoder, sentences: list[str], tokens: int, overlap: int
) -> None:
    text = " ".join(sentences)
    document = Document(id="1", text=text, title="a boat")
    title_tokens, text_tokens = reader.token_offsets([document.title, text])
    rule = PassageRule(tokens=tokens, overlap=overlap)
    for passage in cut(document, title_tokens, text_tokens, rule, reader.added_tokens).passages:
        assert len(reader.tokenizer.encode(passage.text).ids) <= tokens


@pytest.fixture(scope="module")
def reader(tiny_model: Path) -> Encoder:
    return Encoder(find_model(str(tiny_model)))
