"""Key phrases: what a passage is about in two to six words, as a searcher types it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import Random

from training.supervision.article import Article, count_words, join, passages, words_of
from training.supervision.pair import LEAST_POSITIVE_WORDS, Pair

LEAST_WORDS = 2
MOST_WORDS = 6
# A longer run without a stop word is mostly a list or a name with its titles.
_LONGEST_PHRASE = 4
# One of so many of the best phrases leads, so that passages of one matter ask differently.
_LEADERS = 3
# English function words, and verbs and adverbs that say as little.
_STOP_WORDS = frozenset(
    "a about above according across after again against all almost along already also although "
    "always am among an and another any are around as at away back be became because become been "
    "before began behind being below between both but by came can cannot come could did do does "
    "doing done down during each either else even ever every few first for from further gave get "
    "give given go got had has have having he her here hers him his how however i if in indeed "
    "instead into is it its itself just kept knew know known last later least less like made "
    "mainly make many may me might more most much must my near neither never next no nor not now "
    "of off often on once one only or other others our out over own per perhaps quite rather said "
    "same saw say see seem seemed seen several shall she should since so some still such take "
    "taken than that the their them then there these they thing things this those though three "
    "through thus to together too took toward towards two under until up upon us use used using "
    "very was we well went were what when where whether which while who whom whose why will with "
    "within without would yes yet you your".split()
)
_PHRASE_END = re.compile(r"[^\w\s'’\-]+|\s-\s|--")


def key_phrases(article: Article, length: int, chance: Random) -> Iterator[Pair]:
    """Ask for each passage, its title in front, by the key phrases that it holds.

    A phrase is a run of words without a stop word or punctuation within; it scores the sum of its
    words' degree / frequency in the article: degree counts the words of all phrases that a word is
    in (Rose, Engel, Cramer and Cowley, 2010, "Automatic Keyword Extraction from Individual
    Documents", RAKE). Chance takes one of the passage's three best, and the best that fit are added
    up to a length of two to six words. The stop words are English.
    """
    found = [(passage, list(_phrases(passage))) for passage in passages(article, length)]
    worth = _word_scores([phrase for _, phrases in found for phrase in phrases])
    for passage, phrases in found:
        text = join(passage)
        query = _query(phrases, worth, chance)
        if query is not None and count_words(text) >= LEAST_POSITIVE_WORDS:
            yield Pair(query=query, positive=article.titled(text))


def _phrases(passage: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for sentence in passage:
        for part in _PHRASE_END.split(sentence.lower()):
            held: list[str] = []
            for word in [*words_of(part), "the"]:  # which ends the last phrase
                if not _is_empty(word):
                    held.append(word)
                    continue
                if 0 < len(held) <= _LONGEST_PHRASE:
                    yield tuple(held)
                held = []


def _is_empty(word: str) -> bool:
    return word in _STOP_WORDS or word.isdecimal() or (len(word) == 1 and word.isascii())


def _word_scores(phrases: Sequence[tuple[str, ...]]) -> Mapping[str, float]:
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    for phrase in phrases:
        for word in phrase:
            frequency[word] += 1
            degree[word] += len(phrase)
    return {word: degree[word] / frequency[word] for word in frequency}


def _query(
    phrases: Sequence[tuple[str, ...]], worth: Mapping[str, float], chance: Random
) -> str | None:
    """Return the words of the best phrases; None where they are fewer than two."""

    def score(phrase: tuple[str, ...]) -> tuple[float, tuple[str, ...]]:
        return -sum(worth[word] for word in phrase), phrase

    best = sorted(set(phrases), key=score)
    if not best:
        return None
    leader = best.pop(chance.randrange(min(_LEADERS, len(best))))
    most = chance.randint(LEAST_WORDS, MOST_WORDS)
    words = list(leader)
    for phrase in best:
        new = [word for word in phrase if word not in words]
        if len(words) < LEAST_WORDS or len(words) + len(new) <= most:
            words += new[: MOST_WORDS - len(words)]
    return " ".join(words) if len(words) >= LEAST_WORDS else None
