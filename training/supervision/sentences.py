"""Sentence to paragraph: a sentence as the query for the paragraph around it."""

from collections.abc import Iterator, Sequence
from random import Random

from training.supervision.article import Article, count_words, join
from training.supervision.pair import LEAST_QUERY_WORDS, Pair


def sentence_to_paragraph(article: Article, length: int, chance: Random) -> Iterator[Pair]:
    """Pair a random sentence of each paragraph with the paragraph, the title in front.

    The sentence stays in: this teaches to find a text by a part of it, where inverse cloze teaches
    to find it by what it does not say. A paragraph of more than `length` words is the whole
    sentences around the query that fit.
    """
    for paragraph in article.paragraphs:
        places = [
            place for place, sentence in enumerate(paragraph)
            if LEAST_QUERY_WORDS <= count_words(sentence) <= length
        ]  # fmt: skip
        if len(paragraph) < 2 or not places:
            continue
        place = chance.choice(places)
        around = _around(paragraph, place, length)
        if len(around) > 1:
            yield Pair(query=paragraph[place], positive=article.titled(join(around)))


def _around(paragraph: Sequence[str], place: int, length: int) -> Sequence[str]:
    """Return the sentences around one, grown by turns behind and in front while they fit."""
    first, end = place, place + 1
    room = length - count_words(paragraph[place])
    grows = True
    while grows:
        grows = False
        if end < len(paragraph) and (words := count_words(paragraph[end])) <= room:
            end, room, grows = end + 1, room - words, True
        if first > 0 and (words := count_words(paragraph[first - 1])) <= room:
            first, room, grows = first - 1, room - words, True
    return paragraph[first:end]
