"""Find the words of a passage that match the query, and the snippet that shows most of them."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from indexer.analysis import Analyzer, Token
from search.matches import matches

MAX_ANALYSED = 20_000  # code points
_LONGEST_WORD = 40  # how far a cut is moved to keep a word whole
_SENTENCE_END = re.compile(
    "[.!?\u2026][\"'\u201d\u2019)\\]]*\\s+"  # with closing quotes and brackets
    "|[\u3002\uff01\uff1f][\u300d\u300f\u201d\u2019\uff09]*\\s*"  # the same in Chinese and Japanese
    "|\\n[^\\S\\n]*\\n\\s*"  # a blank line
)


class Span(NamedTuple):
    """Code points [start, end) of a document's text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlight:
    """A snippet of a document's text, and the spans of the words that match the query.

    The snippet is text[snippet_start : snippet_start + len(snippet)] unchanged. The highlights are
    places in the document's text, not in the snippet, and may lie outside of it; they are sorted
    and disjoint.
    """

    snippet: str
    snippet_start: int
    highlights: list[Span]


def highlight(
    text: str,
    query_terms: Set[str],
    analyzer: Analyzer,
    *,
    start: int,
    end: int,
    width: int = 240,
) -> Highlight:
    """Highlight the words of text[start:end] whose terms are in the query.

    The snippet has at most `width` code points; it holds as many distinct query terms as that
    allows, then as many matches, then comes first. It begins with a sentence where one begins near
    enough, else between words; without a match it is the beginning of the passage. Only the first
    `MAX_ANALYSED` code points of the passage are read.
    """
    start = min(max(start, 0), len(text))
    end = min(max(start, end), len(text))
    window = Span(start, min(end, start + MAX_ANALYSED))
    found = [
        Token(term, start + first, start + last)
        for term, first, last in matches(
            text[window.start : window.end], frozenset(query_terms), analyzer
        )
    ]
    if found and found[-1].end == window.end < end:
        found.pop()  # the word may go on where the reading stopped
    core = _densest(found, width) or Span(start, start)
    begin = _beginning(text, window, core, width)
    finish = _finish(text, window, core, begin + width)
    return Highlight(snippet=text[begin:finish], snippet_start=begin, highlights=_merged(found))


def _densest(found: Sequence[Token], width: int) -> Span | None:
    """Return the span of the matches that a snippet should hold, None if it can hold none."""
    found = [match for match in found if match.end - match.start <= width]
    best, core = (0, 0), None
    inside: dict[str, int] = {}  # how often each term is in found[first:after], never 0
    after = 0
    for first, match in enumerate(found):
        while after < len(found) and found[after].end - match.start <= width:
            term = found[after].term
            inside[term] = inside.get(term, 0) + 1
            after += 1
        if (len(inside), after - first) > best:
            best = (len(inside), after - first)
            core = Span(match.start, found[after - 1].end)
        inside[match.term] -= 1
        if not inside[match.term]:
            del inside[match.term]
    return core


def _beginning(text: str, window: Span, core: Span, width: int) -> int:
    """Return where the snippet begins, so that the core still fits in."""
    earliest = max(window.start, core.end - width)
    sentences = [earliest] if earliest == window.start else []
    read_from = max(window.start, earliest - _LONGEST_WORD)
    ends = (match.end() for match in _SENTENCE_END.finditer(text, read_from, core.start))
    sentences += [end for end in ends if end >= earliest]
    if sentences:
        filling = [place for place in sentences if place + width <= window.end]
        return _skip_space(text, filling[-1] if filling else sentences[0], window.end)
    middle = max(earliest, core.start - (width - (core.end - core.start)) // 2)
    for place in range(middle, min(middle + _LONGEST_WORD, core.start) + 1):
        if text[place - 1].isspace():
            return _skip_space(text, place, window.end)
    return middle


def _finish(text: str, window: Span, core: Span, limit: int) -> int:
    """Return where the snippet ends: after a word, at most at the limit, not within the core."""
    finish = min(limit, window.end)
    if finish < window.end and not text[finish].isspace():
        for place in range(finish, max(finish - _LONGEST_WORD, core.end), -1):
            if text[place - 1].isspace():
                finish = place
                break
    while finish > core.end and text[finish - 1].isspace():
        finish -= 1
    return finish


def _skip_space(text: str, place: int, end: int) -> int:
    while place < end and text[place].isspace():
        place += 1
    return place


def _merged(found: Sequence[Token]) -> list[Span]:
    """Join the matches that overlap or touch, as the bigrams of one CJK word do."""
    spans: list[Span] = []
    for match in found:
        if spans and match.start <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, match.end)
        else:
            spans.append(Span(match.start, match.end))
    return spans
