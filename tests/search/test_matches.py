"""Matches of a query's terms, against the analyzer reading the whole text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.analysis import Analyzer
from search.matches import SEPARATORS, matches

LANGUAGES = ("english", "french", "german", "turkish", "none")
ANALYZERS = {language: Analyzer(language) for language in LANGUAGES}
PIECES = [
    "cat", "Cats", "CAT's", "l'homme", "l\u2019homme", "np_array", "o'clock", "'", "''", "-", " ",
    "\n", "\u3000", "\xa0", "\u2014", "e\u0301", "\u0301", "\xad", "caf\xe9", "\ufb01re", "\uff21",
    "12.50", "7", "搜索引擎", "。", "한국어", "ｶﾞ", "🙂", "\u200d", "_", "the", "K",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join)


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=TEXTS, query=TEXTS)
def test_matches_are_what_the_analyzer_finds(language: str, text: str, query: str) -> None:
    analyzer = ANALYZERS[language]
    terms = frozenset(analyzer.terms(query))
    expected = [token for token in analyzer.tokens(text) if token.term in terms]
    assert matches(text, terms, analyzer) == expected
    everything = frozenset(analyzer.terms(text))
    assert matches(text, everything, analyzer) == list(analyzer.tokens(text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_separator_is_part_of_no_word(language: str) -> None:
    analyzer = ANALYZERS[language]
    for separator in SEPARATORS:
        for left, right in (("ab", "cd"), ("7", "8"), ("搜", "索"), ("e\u0301", "ｶﾞ"), ("'", "'")):
            apart = analyzer.terms(left) + analyzer.terms(right)
            assert analyzer.terms(left + separator + right) == apart
            assert analyzer.terms(left + separator + "\u0301" + right) == apart
