"""Turn text into lexical terms, the same way for documents and for queries."""

import difflib
import hashlib
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, NamedTuple

from indexer.errors import ClozeError

VERSION = 1  # raised whenever the same text would give other terms
MAX_TERM_BYTES = 255
MAX_CACHED_WORDS = 100_000  # twice as many are held

# The 33 words of Lucene's classic English stop set.
ENGLISH_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with".split()
)
_ENGLISH = ("english", "porter")
_ELIDING = ("catalan", "french", "irish", "italian")  # l'homme is two words there

_APOSTROPHES = "'\u2019\uff07"
# Invisible characters that may stand inside a word without changing it: the soft hyphen, joiners,
# direction marks, variation selectors.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u180b-\u180f\u200c-\u200f\u2060\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef"
)
# Scripts written without spaces, or, for Hangul, with particles glued to the word. Conjoining jamo
# are here too, so that decomposed Hangul gives the same bigrams as composed.
_JAMO = "\u1100-\u11ff"
_CJK = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b\u3041-\u3096\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\uff66-\uff9d\U0001b000-\U0001b16f\U00020000-\U0003fffd" + _JAMO
)
_MARK_PLANES = (range(0x300, 0x20000), range(0xE0100, 0xE01F0))  # no other plane has marks
# What continues one syllable or kana: vowel and final jamo, half-width voicing marks.
_CJK_TAIL = "\u1160-\u11ff\uff9e\uff9f"

_TURKISH_CAPITALS = str.maketrans("I\u0130", "\u0131i")  # I lowers to dotless i
_PLAIN_APOSTROPHE = str.maketrans("\u2019\u02bc", "''")
_REMOVED = re.compile(f"[{_INVISIBLE}]+")


class Token(NamedTuple):
    """A term and the code points [start, end) of the text that it came from."""

    term: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Analyzer:
    """Split text into words, fold them, drop stop words and stem the rest.

    A word is a run of Unicode letters and digits with their combining marks; everything else
    splits, the hyphen, the dot and the underscore too, so `np_array` and
    `scipy.spatial.distance.cdist` are found by their parts. An apostrophe between letters belongs
    to the word (don't), except in languages of elision (l'homme gives l and homme); English drops
    the possessive 's. Words are compared after NFKC and case folding. Han, kana and Hangul become
    overlapping bigrams of characters, a lone character stays as it is, and neither is stemmed.
    Other scripts without spaces (Thai, Khmer, Lao, Burmese) are not segmented.

    `language` is a Snowball language, or "none" for no stemming. English has Lucene's 33 stop
    words, other languages those of the package stop-words where it has a list. A term is never
    empty, holds no white space and has at most 255 bytes of UTF-8. Instances may be shared by
    threads. An unknown language is a ClozeError.
    """

    language: str = "english"
    _split: Callable[[str], list[str]] = field(init=False, repr=False, compare=False)
    _matches: Callable[[str], Iterator[re.Match[str]]] = field(
        init=False, repr=False, compare=False
    )
    _terms_of_word: "_WordTerms" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the patterns and open the stemmer."""
        words = _Words(self.language, _stem_function(self.language))
        pattern = _word_pattern(self.language not in _ELIDING)
        object.__setattr__(self, "_split", pattern.findall)
        object.__setattr__(self, "_matches", pattern.finditer)
        object.__setattr__(self, "_terms_of_word", _WordTerms(words.terms))

    def terms(self, text: str) -> list[str]:
        """Return the terms of a text in order, repetitions included."""
        return list(chain.from_iterable(map(self._terms_of_word.__getitem__, self._split(text))))

    def tokens(self, text: str, among: Set[str] | None = None) -> Iterator[Token]:
        """Yield the terms of a text in order, each with its place; bigrams overlap.

        With `among` all other terms are left out, which is much faster than to look at each.
        """
        words = None if among is None else self._words_of(text, among)
        for match in self._matches(text) if words is None or words else ():
            if words is not None and match.group() not in words:
                continue
            terms = self._terms_of_word[match.group()]
            if len(terms) == 1:
                yield Token(terms[0], *match.span())
            elif terms:
                bigrams = _bigrams(match.group())
                for term, (start, end) in zip(terms, bigrams, strict=True):
                    if among is None or term in among:
                        yield Token(term, match.start() + start, match.start() + end)

    def _words_of(self, text: str, terms: Set[str]) -> set[str]:
        """Return the words of a text that have one of the terms."""
        found = set(self._split(text))
        return {word for word in found if not terms.isdisjoint(self._terms_of_word[word])}

    def describe(self) -> dict[str, Any]:
        """Return what the index manifest seals: the language, the stop list's digest, the rules."""
        stop_words = "\n".join(sorted(_stop_words(self.language)))
        digest = hashlib.sha256(stop_words.encode()).hexdigest()[:16]
        return {"language": self.language, "stop_words": digest, "version": VERSION}


class _WordTerms(dict[str, tuple[str, ...]]):
    """Remember the terms of raw words; a dict, so that a known word costs one lookup in C.

    A full one becomes the elder and a new one begins, which takes up again what comes back: the
    words of a language stay known, and those that came once are forgotten.
    """

    def __init__(self, compute: Callable[[str], tuple[str, ...]]) -> None:
        super().__init__()
        self._compute = compute
        self._elder: dict[str, tuple[str, ...]] = {}

    def __missing__(self, raw: str) -> tuple[str, ...]:
        terms = self._elder.get(raw)
        if terms is None:
            terms = self._compute(raw)
        if len(raw) <= 64 and len(terms) <= 1:  # long words and runs of bigrams seldom come back
            if len(self) >= MAX_CACHED_WORDS:
                self._elder = self.copy()
                self.clear()
            self[raw] = terms
        return terms


@dataclass(frozen=True, slots=True)
class _Words:
    """Give the terms of one raw match of the word pattern."""

    language: str
    stem: Callable[[str], str]

    def terms(self, raw: str) -> tuple[str, ...]:
        if not raw.isascii() and _cjk_character().match(raw):
            return tuple(self._fold(raw[start:end]) for start, end in _bigrams(raw))
        word = self._fold(raw)
        if self.language in _ENGLISH:
            word = word.removesuffix("'s")
        if word in _stop_words(self.language):
            return ()
        return (_cut(self.stem(word)),)

    def _fold(self, raw: str) -> str:
        """Apply NFKC and case folding, twice around because each can undo the other."""
        # Reordering combining marks is quadratic, so a hostile word must be cut before it.
        word = raw[:MAX_TERM_BYTES]
        if not word.isascii():
            word = unicodedata.normalize("NFKC", _REMOVED.sub("", word))
        if self.language == "turkish":
            word = word.translate(_TURKISH_CAPITALS)
        if word.isascii():
            return word.lower()
        word = unicodedata.normalize("NFKC", word.casefold()).translate(_PLAIN_APOSTROPHE)
        word = word.replace("i\u0307", "i")  # what folding makes of the dotted capital
        return _cut("".join(word.split()))  # some ligatures are whole phrases under NFKC


def _cut(word: str) -> str:
    """Cut a word at 255 bytes of UTF-8, between code points."""
    if len(word) * 4 <= MAX_TERM_BYTES:
        return word
    return word.encode()[:MAX_TERM_BYTES].decode(errors="ignore")


def _bigrams(run: str) -> list[tuple[int, int]]:
    """Return the places of the overlapping pairs of characters in a CJK run, or of its only one."""
    spans = [match.span() for match in _cjk_character().finditer(run)]
    if len(spans) == 1:
        return spans
    return [(first[0], second[1]) for first, second in pairwise(spans)]


@lru_cache
def _stop_words(language: str) -> frozenset[str]:
    """Return the stop words of a language; one without a list in the package has none."""
    if language in _ENGLISH:
        return ENGLISH_STOP_WORDS
    from stop_words import AVAILABLE_LANGUAGES, get_stop_words

    name = language.partition("_")[0]  # dutch_porter is Dutch
    return frozenset(get_stop_words(name) if name in AVAILABLE_LANGUAGES else ())


def _stem_function(language: str) -> Callable[[str], str]:
    """Return a stemmer that threads may share; "none" gives the words back."""
    if language == "none":
        return str
    import Stemmer  # type: ignore[import-untyped, unused-ignore]

    languages = [*Stemmer.algorithms(), "none"]
    if language not in languages:
        nearest = difflib.get_close_matches(language, languages, n=1, cutoff=0.0)[0]
        raise ClozeError(
            f"unknown language {language!r} for text analysis: did you mean {nearest!r}? "
            f"Languages: {', '.join(languages)}"
        )
    stemmer = Stemmer.Stemmer(language, 0)
    lock = threading.Lock()  # a Snowball stemmer works in a buffer of its own

    def stem(word: str) -> str:
        with lock:
            return str(stemmer.stemWord(word)) or word

    return stem


@lru_cache(maxsize=1)
def _tail() -> str:
    """Return the class body of what may follow a letter inside a word: marks and invisibles."""
    ranges: list[list[int]] = []
    for code in chain(*_MARK_PLANES):
        if unicodedata.category(chr(code))[0] != "M":
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges) + _INVISIBLE


@lru_cache(maxsize=1)
def _cjk_character() -> re.Pattern[str]:
    return re.compile(f"[{_CJK}][{_CJK_TAIL}{_tail()}]*")


@lru_cache(maxsize=2)
def _word_pattern(joins_apostrophe: bool) -> re.Pattern[str]:
    """Compile the pattern whose matches are the words and the CJK runs of a text."""
    letter = rf"[^\W_{_CJK}]"
    word = f"{letter}++(?:[{_tail()}]++{letter}*+)*+"
    if joins_apostrophe:
        word += f"(?:[{_APOSTROPHES}]{word})*+"
    # The first branch is only for speed: a plain word, known to end before the next character.
    plain = "[0-9A-Za-z]++(?![^\\x00-\\x26\\x28-\\x7f])"
    return re.compile(f"{plain}|{word}|(?:{_cjk_character().pattern})++")
