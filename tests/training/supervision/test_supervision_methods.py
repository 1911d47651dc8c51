"""Pairs out of bare text: small articles by hand, and what holds for any."""

from random import Random
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import ClozeError
from training.pairs.identity import identity
from training.supervision.article import (
    Article,
    count_words,
    join,
    passages,
    read_article,
    word_spans,
)
from training.supervision.crops import LEAST_SHARE, MOST_SHARE, crops
from training.supervision.inverse_cloze import KEPT_IN, inverse_cloze
from training.supervision.key_phrases import key_phrases
from training.supervision.methods import METHODS, chosen_methods
from training.supervision.neighbours import neighbours
from training.supervision.pair import LEAST_QUERY_WORDS, Pair
from training.supervision.sentences import sentence_to_paragraph
from training.supervision.title import title_to_body

if TYPE_CHECKING:
    from _typeshed import SupportsLenAndGetItem

T = TypeVar("T")
FEW = settings(max_examples=30)
WHALE = read_article(
    "Blue  whale",
    "The blue whale is a marine mammal. It is the largest animal ever.\n"
    "It eats krill, which are small. A calf drinks milk for half a year. It then swims alone.",
)
_WORDS = ["sea", "blue", "whale", "of", "the", "krill", "a", "deep-water", "用水", "Is"]
_SENTENCES = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=12).map(
    lambda words: " ".join(words) + "."
)
ARTICLES = st.builds(
    Article,
    title=st.sampled_from(["", "Blue whale", "sea"]),
    paragraphs=st.lists(st.lists(_SENTENCES, min_size=1, max_size=8).map(tuple), max_size=6).map(
        tuple
    ),
)
LENGTHS = st.integers(min_value=16, max_value=60)
SEEDS = st.integers(min_value=0, max_value=1000)


class _Certain(Random):
    """Chance that says the same number, and takes the first of what there is."""

    def __init__(self, number: float) -> None:
        super().__init__(0)
        self._number = number

    def random(self) -> float:
        return self._number

    def choice(self, seq: "SupportsLenAndGetItem[T]") -> T:
        return seq[0]

    def randrange(self, *bounds: object) -> int:
        return 0

    def randint(self, a: int, b: int) -> int:
        return b


def test_an_article_is_paragraphs_of_sentences() -> None:
    assert WHALE.title == "Blue whale"
    assert WHALE.paragraphs == (
        ("The blue whale is a marine mammal.", "It is the largest animal ever."),
        ("It eats krill, which are small.", "A calf drinks milk for half a year.",
         "It then swims alone."),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("", 0),
        (" \n-- \n", 0),
        ("One line.\nAnother line.", 2),
        # Broken for its length, in the midst of a sentence.
        ("Daily they went, and daily they returned, by the way of the\nWhite Ladies at home.", 1),
        ("CHAPTER ONE\nIt was cold.", 2),
        ("One line\nof two.\n\nAnother.\n \nA third.", 3),
        ("One line\r\nof two.\r\n\r\nAnother.", 2),
    ],
)
def test_paragraphs_end_at_blank_lines_or_at_lines(text: str, paragraphs: int) -> None:
    assert len(read_article("", text).paragraphs) == paragraphs


def test_words_are_counted_in_scripts_without_spaces_too() -> None:
    assert count_words("Don't eat 12 krill!") == 5
    assert count_words("用水 sea") == 3
    assert [("用水 sea"[a:b]) for a, b in word_spans("用水 sea")] == ["用", "水", "sea"]


def test_passages_are_packed_sentences_across_paragraphs() -> None:
    assert [len(each) for each in passages(WHALE, 20)] == [3, 2]
    assert [len(each) for each in passages(WHALE, 1000)] == [5]
    assert passages(WHALE, 20) is passages(WHALE, 20)  # packed once for all methods


def test_a_long_sentence_is_cut_between_words() -> None:
    article = read_article("", "one, two three (four) five six.")
    assert [join(each) for each in passages(article, 2)] == [
        "one, two", "three (four)", "five six.",
    ]  # fmt: skip


@FEW
@given(ARTICLES, LENGTHS)
def test_passages_have_every_word_once_and_no_more_than_asked(
    article: Article, length: int
) -> None:
    found = [join(each) for each in passages(article, length)]
    whole = " ".join(sentence for each in article.paragraphs for sentence in each)
    assert " ".join(found).split() == whole.split() or count_words(whole) == count_words(
        " ".join(found)
    )
    assert all(1 <= count_words(each) <= length for each in found)


def test_a_title_asks_for_the_opening() -> None:
    (pair,) = title_to_body(WHALE, 16, Random(0))
    assert pair == Pair(
        query="Blue whale",
        positive="The blue whale is a marine mammal. It is the largest animal ever.",
    )
    assert list(title_to_body(Article(title="", paragraphs=WHALE.paragraphs), 16, Random(0))) == []


def test_a_title_passes_over_a_short_opening() -> None:
    article = read_article("Whale", "See also the sea. " + "The krill is small and red. " * 3)
    (pair,) = title_to_body(article, 18, Random(0))
    assert pair.positive.startswith("See also")
    assert list(title_to_body(read_article("Whale", "See also."), 16, Random(0))) == []


@pytest.mark.parametrize(
    ("number", "positive"),
    [
        (
            KEPT_IN,
            "Blue whale It is the largest animal ever. It eats krill, which are small. "
            "A calf drinks milk for half a year. It then swims alone.",
        ),
        (
            KEPT_IN - 0.01,
            "Blue whale The blue whale is a marine mammal. It is the largest animal ever. "
            "It eats krill, which are small. A calf drinks milk for half a year. "
            "It then swims alone.",
        ),
    ],
)
def test_inverse_cloze_takes_a_sentence_out_nine_times_of_ten(number: float, positive: str) -> None:
    (pair,) = inverse_cloze(WHALE, 100, _Certain(number))
    assert pair == Pair(query="The blue whale is a marine mammal.", positive=positive)


def test_inverse_cloze_never_asks_by_what_the_rest_says_again() -> None:
    again = read_article("", "The krill is small. " * 2 + "The blue whale eats them all.")
    assert list(inverse_cloze(again, 100, _Certain(0.9))) == []
    assert len(list(inverse_cloze(again, 100, _Certain(0.0)))) == 1


@FEW
@given(ARTICLES, LENGTHS, SEEDS)
def test_inverse_cloze_has_its_query_in_the_positive_only_if_kept(
    article: Article, length: int, seed: int
) -> None:
    bodies = {article.titled(join(each)) for each in passages(article, length)}
    for pair in inverse_cloze(article, length, Random(seed)):
        assert count_words(pair.query) >= LEAST_QUERY_WORDS
        assert (pair.query in pair.positive) == (pair.positive in bodies)


def test_inverse_cloze_keeps_about_a_tenth_in() -> None:
    article = read_article(
        "", " ".join(f"Sentence number {n} says a thing or two." for n in range(6000))
    )
    pairs = list(inverse_cloze(article, 16, Random(1)))
    kept = sum(pair.query in pair.positive for pair in pairs)
    assert len(pairs) == 3000
    assert 0.08 < kept / len(pairs) < 0.12


def test_neighbours_stand_side_by_side_and_come_once() -> None:
    texts = [f"Passage {n} has eight words and no more" for n in range(5)]
    article = Article(title="T", paragraphs=(tuple(texts),))
    found = list(neighbours(article, 8, _Certain(0.4)))
    assert found == [
        Pair(query=texts[0], positive=texts[1]), Pair(query=texts[2], positive=texts[3]),
    ]  # fmt: skip
    turned = list(neighbours(article, 8, _Certain(0.6)))
    assert turned[0] == Pair(query=texts[1], positive=texts[0])


@FEW
@given(ARTICLES, LENGTHS, SEEDS)
def test_crops_are_pieces_of_one_stretch(article: Article, length: int, seed: int) -> None:
    stretches = [join(each) for each in passages(article, 2 * length)]
    for pair in crops(article, length, Random(seed)):
        assert any(pair.query in each and pair.positive in each for each in stretches)
        for text in (pair.query, pair.positive):
            assert count_words(text) >= LEAST_QUERY_WORDS


def test_crops_have_five_to_fifty_percent_of_a_stretch() -> None:
    article = read_article("", " ".join(f"word{n}" for n in range(1000)))
    lengths = [
        count_words(text)
        for seed in range(200)
        for pair in crops(article, 500, Random(seed))
        for text in (pair.query, pair.positive)
    ]
    assert min(lengths) >= 1000 * LEAST_SHARE
    assert max(lengths) <= 1000 * MOST_SHARE
    assert min(lengths) < 70
    assert max(lengths) > 480


def test_a_sentence_asks_for_the_paragraph_around_it() -> None:
    found = list(sentence_to_paragraph(WHALE, 100, _Certain(0.0)))
    assert found == [
        Pair(query="The blue whale is a marine mammal.",
             positive="Blue whale The blue whale is a marine mammal. It is the largest animal "
             "ever."),
        Pair(query="It eats krill, which are small.",
             positive="Blue whale It eats krill, which are small. A calf drinks milk for half a "
             "year. It then swims alone."),
    ]  # fmt: skip


def test_a_long_paragraph_is_cut_to_what_stands_around_the_sentence() -> None:
    sentences = tuple(f"Sentence {n} has five words." for n in range(9))
    article = Article(title="", paragraphs=(sentences,))

    class Middle(_Certain):
        def choice(self, seq: "SupportsLenAndGetItem[T]") -> T:
            return seq[4]

    (pair,) = sentence_to_paragraph(article, 17, Middle(0.0))
    assert pair == Pair(query=sentences[4], positive=join(sentences[3:6]))


@FEW
@given(ARTICLES, LENGTHS, SEEDS)
def test_the_paragraph_holds_its_sentence(article: Article, length: int, seed: int) -> None:
    for pair in sentence_to_paragraph(article, length, Random(seed)):
        assert pair.query in pair.positive
        assert count_words(pair.positive) <= length + count_words(article.title)


def test_key_phrases_are_scored_by_degree_over_frequency() -> None:
    # By hand: "blue whale" and "whale song" give blue 2/1, whale 4/2, song 2/1; "krill" 1/1.
    article = read_article("", "The blue whale is with krill, and there is the whale song of it.")
    (pair,) = key_phrases(article, 100, _Certain(0.0))
    assert pair.query == "blue whale song krill"
    assert pair.positive == article.paragraphs[0][0]


@FEW
@given(ARTICLES, LENGTHS, SEEDS)
def test_key_phrases_are_two_to_six_words_of_the_passage(
    article: Article, length: int, seed: int
) -> None:
    for pair in key_phrases(article, length, Random(seed)):
        words = pair.query.split()
        assert 2 <= len(words) <= 6
        assert set(words) <= {
            pair.positive.lower()[a:b] for a, b in word_spans(pair.positive.lower())
        }
        assert not {"of", "the", "a", "is"} & set(words)


@pytest.mark.parametrize("name", METHODS)
@FEW
@given(article=ARTICLES, length=LENGTHS, seed=SEEDS)
def test_a_method_is_pure(name: str, article: Article, length: int, seed: int) -> None:
    first = list(METHODS[name](article, length, Random(seed)))
    assert first == list(METHODS[name](article, length, Random(seed)))
    for pair in first:
        assert pair.query.strip() == pair.query != ""
        assert pair.positive.strip() == pair.positive != ""


def test_methods_are_named_once_and_known() -> None:
    assert chosen_methods("crops, title,crops,") == ("crops", "title")
    with pytest.raises(ClozeError, match="did you mean 'neighbours'"):
        chosen_methods("neighbors")
    with pytest.raises(ClozeError, match="names none"):
        chosen_methods(" , ")


def test_no_pair_of_crops_is_dropped_by_the_method_itself() -> None:
    # Equal crops of a tiny stretch are left to the writing, which counts them.
    article = read_article("", "one two three four five")
    (pair,) = crops(article, 16, _Certain(0.0))
    assert identity(pair.query) == identity(pair.positive)


@FEW
@given(title=st.text(max_size=20), text=st.text(max_size=400), seed=SEEDS)
def test_any_text_gives_sound_pairs_or_none(title: str, text: str, seed: int) -> None:
    article = read_article(title, text)
    assert all(count_words(sentence) for each in article.paragraphs for sentence in each)
    for method in METHODS.values():
        for pair in method(article, 16, Random(seed)):
            assert pair.query.strip() == pair.query != ""
            assert pair.positive.strip() == pair.positive != ""
