"""Where a query's words stand in a text, found by looking only at words that it has not seen."""

from functools import lru_cache
from itertools import compress
from operator import not_

from indexer.analysis import Analyzer, Token

_MAX_KNOWN = 50_000
_LONGEST_KNOWN = 64  # longer runs seldom come back
# What is usual between words, none of it part of any word (an apostrophe may be). A separator that
# is missing here only makes longer runs.
SEPARATORS = (
    '\n\t\xa0.,;:!?()[]{}<>"/|=*_-\u2010\u2011\u2013\u2014\u201c\u201d\u2026\xab\xbb\u3001\u3002\uff01'
    "\uff0c\uff1f"
)


def matches(text: str, terms: frozenset[str], analyzer: Analyzer) -> list[Token]:
    """Return the tokens of a text that have one of the terms, as `analyzer.tokens` would.

    No word goes across a separator, so a run between two of them has the same tokens wherever it
    stands, and one that was met before need not be analysed again.
    """
    runs = text
    for separator in SEPARATORS:  # each to one space, so that every place stays as it is
        runs = runs.replace(separator, " ")
    distinct = set(runs.split(" "))
    unwanted = map(terms.isdisjoint, map(_known(analyzer).__getitem__, distinct))
    wanted = list(compress(distinct, map(not_, unwanted)))
    found: list[Token] = []
    padded = f" {runs} "
    for run in wanted:
        tokens = _tokens(run, terms, analyzer)
        place = padded.find(f" {run} ")
        while place >= 0:
            found += [Token(term, place + start, place + end) for term, start, end in tokens]
            place = padded.find(f" {run} ", place + len(run) + 1)
    found.sort(key=_start)
    return found


def _tokens(run: str, terms: frozenset[str], analyzer: Analyzer) -> list[Token]:
    if run.isascii() and run.isalnum():  # then it is one word
        return [Token(_known(analyzer)[run][0], 0, len(run))]
    return [token for token in analyzer.tokens(run) if token.term in terms]


def _start(token: Token) -> int:
    return token.start


class _RunTerms(dict[str, tuple[str, ...]]):
    """Remember the terms of runs; a dict, so that a known one costs one lookup in C."""

    def __init__(self, analyzer: Analyzer) -> None:
        super().__init__()
        self._analyzer = analyzer

    def __missing__(self, run: str) -> tuple[str, ...]:
        terms = tuple(self._analyzer.terms(run))
        if len(run) <= _LONGEST_KNOWN:
            if len(self) >= _MAX_KNOWN:
                self.clear()
            self[run] = terms
        return terms


@lru_cache(maxsize=4)
def _known(analyzer: Analyzer) -> _RunTerms:
    return _RunTerms(analyzer)
