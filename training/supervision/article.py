"""A document of bare text as supervision reads it: a title, paragraphs, sentences, passages."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from indexer.passages import sentences
from training.pairs.example import titled

# Scripts without spaces: there a character counts as a word.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_WORD = re.compile(f"[{_CJK}]|[^\\W{_CJK}]+")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_SENTENCE_END = tuple(".!?。！？:;\"'”’)]")
# A line of so many characters that ends no sentence was broken for its length.
_BROKEN_LINE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """A document: its title, which may be empty, and its paragraphs, each of whole sentences."""

    title: str
    paragraphs: tuple[tuple[str, ...], ...]

    def titled(self, passage: str) -> str:
        """Return a passage as the index would have it, the title in front."""
        return titled(self.title, passage)


def read_article(title: str, text: str) -> Article:
    """Take a text apart; what has no word is left out.

    Paragraphs end at blank lines, where there are any; else each line is one, but for a line that
    was broken within a sentence, which goes on in the next.
    """
    paragraphs = (tuple(_sentences(paragraph)) for paragraph in _paragraphs(text))
    return Article(
        title=" ".join(title.split()), paragraphs=tuple(each for each in paragraphs if each)
    )


@lru_cache(maxsize=2)
def passages(article: Article, length: int) -> tuple[tuple[str, ...], ...]:
    """Pack an article's sentences, in order, into passages of at most `length` words.

    A longer sentence is cut between words. The methods ask for the same ones in turn, so those of
    the last two calls are remembered.
    """
    return tuple(_packed(article, length))


def _packed(article: Article, length: int) -> Iterator[tuple[str, ...]]:
    held: list[str] = []
    words = 0
    for sentence in _pieces(article, length):
        count = count_words(sentence)
        if held and words + count > length:
            yield tuple(held)
            held, words = [], 0
        held.append(sentence)
        words += count
    if held:
        yield tuple(held)


def join(parts: Sequence[str]) -> str:
    """Put sentences together again."""
    return " ".join(parts)


def words_of(text: str) -> list[str]:
    """Return the words of a text: runs of letters and digits, in CJK every character."""
    return _WORD.findall(text)


def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(_WORD.findall(text))


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text lie, as code points [start, end)."""
    return [match.span() for match in _WORD.finditer(text)]


def _paragraphs(text: str) -> Iterable[str]:
    text = text.replace("\r\n", "\n")
    if _BLANK_LINE.search(text.strip()):
        return _BLANK_LINE.split(text)
    return _unbroken(text.split("\n"))


def _unbroken(lines: Sequence[str]) -> Iterator[str]:
    held = ""
    for line in lines:
        held = f"{held} {line.strip()}".strip()
        last = line.rstrip()
        if len(last) < _BROKEN_LINE or last.endswith(_SENTENCE_END):
            yield held
            held = ""
    yield held


def _sentences(paragraph: str) -> Iterator[str]:
    for sentence in sentences(" ".join(paragraph.split())):
        if count_words(sentence):
            yield sentence


def _pieces(article: Article, length: int) -> Iterator[str]:
    for paragraph in article.paragraphs:
        for sentence in paragraph:
            spans = word_spans(sentence)
            for first in range(0, len(spans), length):
                after = spans[first + length][0] if first + length < len(spans) else len(sentence)
                begin = spans[first][0] if first else 0
                yield sentence[begin:after].rstrip()
