"""Highlights: hand-made passages in several scripts, and properties against every window."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.analysis import Analyzer
from search.highlight import MAX_ANALYSED, Highlight, highlight

ENGLISH = Analyzer()


def highlighted(text: str, query: str, width: int = 240) -> Highlight:
    terms = set(ENGLISH.terms(query))
    return highlight(text, terms, ENGLISH, start=0, end=len(text), width=width)


def words(text: str, answer: Highlight) -> list[str]:
    return [text[span.start : span.end] for span in answer.highlights]


def test_every_form_of_a_word_is_highlighted() -> None:
    text = "She runs. He was running; they run, and the runner's cat sat."
    answer = highlighted(text, "run runner")
    assert words(text, answer) == ["runs", "running", "run", "runner's"]
    assert answer.snippet == text


def test_places_are_code_points_of_the_document() -> None:
    text = "🙂🙂 ignored. 👩‍🚀 Cafe\u0301 🙂 café"
    answer = highlight(text, {"café"}, ENGLISH, start=12, end=len(text))
    assert [tuple(span) for span in answer.highlights] == [(16, 21), (24, 28)]
    assert (answer.snippet_start, answer.snippet) == (12, text[12:])


def test_touching_bigrams_are_one_span() -> None:
    text = "我们用BERT做全文搜索引擎。搜索很快。"
    answer = highlighted(text, "搜索引擎")
    assert words(text, answer) == ["搜索引擎", "搜索"]


def test_a_chinese_snippet_begins_with_its_sentence() -> None:
    text = "第一句话没有什么。" * 10 + "第二句说搜索引擎。" + "后面还有很多话。" * 10
    answer = highlighted(text, "搜索引擎", width=20)
    assert answer.snippet == "第二句说搜索引擎。后面还有很多话。后面还"


def test_the_snippet_covers_most_distinct_terms() -> None:
    text = "cat cat cat cat. " + "filler " * 20 + "Here a cat met a dog. " + "filler " * 20
    answer = highlighted(text, "cat dog", width=40)
    assert answer.snippet == "Here a cat met a dog. filler filler"
    assert answer.snippet_start == text.index("Here")
    assert len(answer.highlights) == 6


def test_terms_of_an_earlier_window_do_not_count() -> None:
    text = "A cat met a dog. " + "filler " * 20 + "An eel, an eel, an eel."
    assert highlighted(text, "cat dog eel", width=25).snippet == "A cat met a dog. filler"


def test_of_equal_windows_the_first_is_shown() -> None:
    text = "No match here at all, none. One cat. " + "filler " * 20 + "Two cat."
    assert highlighted(text, "cat", width=12).snippet == "One cat."


def test_far_from_a_sentence_start_the_snippet_begins_between_words() -> None:
    text = "filler " * 50 + "needle " + "filler " * 50
    answer = highlighted(text, "needle", width=40)
    assert answer.snippet == "filler filler needle filler filler"


def test_without_a_match_the_passage_begins() -> None:
    text = "  One sentence here. Another sentence."
    answer = highlighted(text, "absent", width=15)
    assert (answer.snippet, answer.snippet_start, answer.highlights) == ("One sentence", 2, [])


@pytest.mark.parametrize(("text", "start", "end"), [("", 0, 0), ("abc", 3, 3), ("abc", 9, 2)])
def test_nothing_to_show(text: str, start: int, end: int) -> None:
    answer = highlight(text, {"abc"}, ENGLISH, start=start, end=end)
    assert (answer.snippet, answer.snippet_start, answer.highlights) == ("", len(text), [])


def test_only_the_window_is_highlighted() -> None:
    text = "cat cat cat"
    answer = highlight(text, {"cat"}, ENGLISH, start=4, end=7)
    assert [tuple(span) for span in answer.highlights] == [(4, 7)]
    assert answer.snippet == "cat"


def test_near_the_end_the_snippet_begins_early_enough_to_be_full() -> None:
    text = "filler " * 20 + "end. First sentence of ours. Second one. A cat."
    assert (
        highlighted(text, "cat", width=45).snippet == "First sentence of ours. Second one. A cat."
    )


def test_a_blank_line_begins_a_sentence() -> None:
    text = "filler " * 20 + "\n \nHeading\nwith a cat " + "filler " * 20
    assert highlighted(text, "cat", width=30).snippet == "Heading\nwith a cat filler"


def test_white_space_is_kept() -> None:
    assert highlighted("a  cat\n\tsat", "sat").snippet == "a  cat\n\tsat"


def test_a_word_longer_than_the_snippet() -> None:
    text = "tiny " + "x" * 100
    answer = highlighted(text, "x" * 100, width=10)
    assert words(text, answer) == ["x" * 100] and len(answer.snippet) <= 10


def test_work_is_bounded() -> None:
    text = "cat " * 2_000_000
    begin = time.perf_counter()
    answer = highlighted(text, "cat")
    assert time.perf_counter() - begin < 2
    assert len(answer.highlights) == MAX_ANALYSED // 4


def test_a_word_cut_by_the_bound_is_no_match() -> None:
    text = "x" * (MAX_ANALYSED - 4) + " cathedral"
    assert highlighted(text, "cat").highlights == []
    assert len(highlighted(text[:MAX_ANALYSED], "cat").highlights) == 1


TEXTS = st.lists(
    st.sampled_from(
        ["cat", "Cats", "dog", "dogs", "the", "filler", "🙂", "e\u0301", ". ", ".", "\n", " "]
    )
    | st.text(max_size=3),
    max_size=40,
).map("".join)
SPACED = st.lists(st.sampled_from(["cat", "dog", "eel", "a", "filler", "end."]), max_size=40).map(
    " ".join
)
QUERIES = st.sets(st.sampled_from(["cat", "dog", "eel", "filler", "é"]))


@given(TEXTS, QUERIES, st.integers(0, 60), st.integers(0, 60), st.integers(1, 40))
def test_spans_are_matches_within_the_window(
    text: str, query: set[str], start: int, length: int, width: int
) -> None:
    answer = highlight(text, query, ENGLISH, start=start, end=start + length, width=width)
    end = max(min(start + length, len(text)), answer.snippet_start)
    place = answer.snippet_start
    assert answer.snippet == text[place : place + len(answer.snippet)]
    assert len(answer.snippet) <= width
    assert min(start, len(text)) <= place <= place + len(answer.snippet) <= end
    previous = start - 1
    for span in answer.highlights:
        assert previous < span.start < span.end <= end
        assert query.issuperset(terms := ENGLISH.terms(text[span.start : span.end])) and terms
        previous = span.end


@given(SPACED, QUERIES, st.integers(6, 40))
def test_no_window_of_the_width_shows_more(text: str, query: set[str], width: int) -> None:
    matches = [token for token in ENGLISH.tokens(text) if token.term in query]

    def score(begin: int, end: int) -> tuple[int, int]:
        inside = [match.term for match in matches if begin <= match.start and match.end <= end]
        return len(set(inside)), len(inside)

    answer = highlighted(text, " ".join(query), width)
    shown = score(answer.snippet_start, answer.snippet_start + len(answer.snippet))
    assert shown == max(score(begin, begin + width) for begin in range(len(text) + 1))


@given(SPACED, QUERIES, st.integers(10, 40))
def test_words_are_kept_whole(text: str, query: set[str], width: int) -> None:
    answer = highlighted(text, " ".join(query), width)
    before, after = answer.snippet_start - 1, answer.snippet_start + len(answer.snippet)
    assert before < 0 or text[before] == " "
    assert after == len(text) or text[after] == " "
