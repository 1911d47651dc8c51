"""Analysis: hand-made cases in several scripts, and properties of terms and their places."""

import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import analysis
from indexer.analysis import ENGLISH_STOP_WORDS, Analyzer, Token
from indexer.errors import ClozeError

ENGLISH = Analyzer()
PLAIN = Analyzer("none")

# Text with more words, marks, joiners and scripts in it than plain random text has.
TEXTS = st.text(
    st.one_of(
        st.sampled_from("aEisßİıſéÅ'\u2019\uff07\u02bc.-_ \n9½\u0301\u0327\u200d\u00ad\ufe0f"),
        st.sampled_from("用搜索検ガカ\u3099ｶﾞー한\u1112\u1161\u11ab𠮷々ไทยي\ufdfa🙂"),
        st.characters(),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The runners were running", ["runner", "were", "run"]),
        ("don't, don\u2019t and DON\uff07T", ["don't"] * 3),
        ("the dog's bowl, the dogs' bowls", ["dog", "bowl", "dog", "bowl"]),
        ("it's", []),
        ("scipy.spatial.distance.cdist", ["scipi", "spatial", "distanc", "cdist"]),
        ("np_array state-of-the-art", ["np", "array", "state", "art"]),
        ("B12 1.8 x2", ["b12", "1", "8", "x2"]),
        ("we 🙂 smile🙂", ["we", "smile"]),
        ("", []),
        (" \t\n…—", []),
    ],
)
def test_english(text: str, terms: list[str]) -> None:
    assert ENGLISH.terms(text) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("用BERT搜索", ["用", "bert", "搜索"]),
        ("搜索引擎", ["搜索", "索引", "引擎"]),
        ("東京タワー、人々", ["東京", "京タ", "タワ", "ワー", "人々"]),
        ("ひらがな", ["ひら", "らが", "がな"]),
        ("검색을 한다", ["검색", "색을", "한다"]),
        ("𠮷野家", ["𠮷野", "野家"]),
        ("第3章", ["第", "3", "章"]),
        ("The 本", ["the", "本"]),
    ],
)
def test_cjk_becomes_bigrams(text: str, terms: list[str]) -> None:
    assert PLAIN.terms(text) == terms


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Café naïve Ångström", unicodedata.normalize("NFD", "Café naïve Ångström")),
        ("검색을 가져", unicodedata.normalize("NFD", "검색을 가져")),
        ("ガラスビルパパ", unicodedata.normalize("NFD", "ガラスビルパパ")),
        ("ガラス", "ｶﾞﾗｽ"),
        ("effizient", "eﬃzient"),
        ("2024 ABC", "２０２４ ＡＢＣ"),
        ("STRASSE", "straße"),
        ("İstanbul", "istanbul"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("cooperate", "co\u00adoperate"),
        ("葛", "葛\U000e0100"),
        ("一", "⼀"),
    ],
)
def test_spellings_of_one_word_agree(first: str, second: str) -> None:
    assert PLAIN.terms(first) == PLAIN.terms(second) != []


def test_german_umlauts_and_inflection() -> None:
    german = Analyzer("german")
    assert german.terms("Häuser Hauses häusern") == ["haus"] * 3
    assert german.terms("Der Hund und die Katze") == german.terms("Hund Katze")


def test_french_elision_splits() -> None:
    assert Analyzer("french").terms("l\u2019homme") == ["homm"]  # l is a stop word


def test_turkish_dotted_and_dotless_i() -> None:
    turkish = Analyzer("turkish")
    assert turkish.terms("ISPARTA İZMİR") == turkish.terms("ısparta izmir")
    assert turkish.terms("ISPARTA") != turkish.terms("isparta")


def test_none_neither_stems_nor_stops() -> None:
    assert PLAIN.terms("The dog's running") == ["the", "dog's", "running"]


def test_tokens_point_into_the_original_text() -> None:
    text = "🙂 Cafe\u0301s, 検索中 the ﬁsh"
    assert list(Analyzer("english").tokens(text)) == [
        Token("café", 2, 8),
        Token("検索", 10, 12),
        Token("索中", 11, 13),
        Token("fish", 18, 21),
    ]


def test_the_stop_list_is_the_classic_one() -> None:
    assert len(ENGLISH_STOP_WORDS) == 33
    assert ENGLISH.terms(" ".join(ENGLISH_STOP_WORDS).upper()) == []


def test_describe_seals_language_and_stop_words() -> None:
    assert ENGLISH.describe() == {
        "language": "english",
        "stop_words": "2f66c0e3dde5d31c",
        "version": 1,
    }  # the digest is sha256sum of the sorted words, one a line
    nothing = "e3b0c44298fc1c14"  # of SHA-256
    assert Analyzer("none").describe()["stop_words"] == nothing
    assert Analyzer("esperanto").describe()["stop_words"] == nothing
    assert Analyzer("german").describe()["stop_words"] not in (nothing, "2f66c0e3dde5d31c")


def test_an_unknown_language_names_the_nearest() -> None:
    with pytest.raises(ClozeError, match=r"'englsh'.*did you mean 'english'\?.*german"):
        Analyzer("englsh")


def test_every_letter_and_digit_of_unicode_gives_a_term() -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isalnum()]
    for letter in letters:
        terms = PLAIN.terms(letter)
        assert len(terms) == 1 and terms[0] and not any(c.isspace() for c in terms[0]), letter


def test_every_mark_of_unicode_belongs_to_its_word() -> None:
    marks = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "M"]
    assert all(len(PLAIN.terms(f"a{mark}b")) == 1 for mark in marks)


@pytest.mark.parametrize("letter", ["a", "é", "𝔸", "𐐀", "ß", "ﬀ", "ไ", "\u0301\u0327"])
def test_long_words_are_cut(letter: str) -> None:
    (term,) = PLAIN.terms("x" + letter * 100_000)
    assert 248 < len(term.encode()) <= 255


def test_the_memory_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "MAX_CACHED_WORDS", 10)
    fresh = Analyzer()
    words = [f"words{number}" for number in range(100)]
    assert fresh.terms(" ".join(words)) == words
    assert 0 < len(fresh._terms_of_word) <= 10


def test_words_that_come_back_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "MAX_CACHED_WORDS", 10)
    computed: list[str] = []

    def compute(raw: str) -> tuple[str, ...]:
        computed.append(raw)
        return (raw.upper(),)

    words = analysis._WordTerms(compute)
    for number in range(100):
        assert words["often"] == ("OFTEN",)
        assert words[f"once{number}"] == (f"ONCE{number}",)
    assert computed.count("often") == 1 and len(computed) == 101
    assert len(words) <= 10 and len(words._elder) <= 10


def test_threads_get_the_same_terms() -> None:
    texts = [f"running{n} nationally{n} flies connections generalizations" for n in range(200)]
    expected = [Analyzer().terms(text) for text in texts]
    shared, start = Analyzer(), threading.Barrier(4)

    def analyse(_: int) -> list[list[str]]:
        start.wait()
        return [shared.terms(text) for text in texts]

    with ThreadPoolExecutor(4) as pool:
        assert all(answer == expected for answer in pool.map(analyse, range(4)))


@given(TEXTS)
def test_tokens_and_terms_agree(text: str) -> None:
    for analyzer in (ENGLISH, PLAIN):
        assert [token.term for token in analyzer.tokens(text)] == analyzer.terms(text)


@given(TEXTS, TEXTS)
def test_tokens_among_some_terms_are_those_of_all(text: str, query: str) -> None:
    for analyzer in (ENGLISH, PLAIN):
        wanted = {*analyzer.terms(query), *analyzer.terms(text)[::3]}
        expected = [token for token in analyzer.tokens(text) if token.term in wanted]
        assert list(analyzer.tokens(text, wanted)) == expected


@given(TEXTS)
def test_tokens_are_places_in_order(text: str) -> None:
    tokens = list(ENGLISH.tokens(text))
    assert all(0 <= token.start < token.end <= len(text) for token in tokens)
    starts = [token.start for token in tokens]
    assert starts == sorted(set(starts))


@given(TEXTS)
def test_a_word_alone_gives_its_term(text: str) -> None:
    for token in ENGLISH.tokens(text):
        assert ENGLISH.terms(text[token.start : token.end]) == [token.term]


@given(TEXTS)
def test_terms_are_short_and_without_white_space(text: str) -> None:
    for term in PLAIN.terms(text):
        assert term and len(term.encode()) <= 255 and not any(c.isspace() for c in term)


@given(TEXTS, TEXTS)
def test_a_space_between_texts_joins_their_terms(first: str, second: str) -> None:
    assert PLAIN.terms(f"{first} {second}") == PLAIN.terms(first) + PLAIN.terms(second)


@given(TEXTS)
def test_composed_and_decomposed_text_give_the_same_terms(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert PLAIN.terms(composed) == PLAIN.terms(decomposed)
