"""Crops: two random pieces of one stretch of text as a pair."""

from collections.abc import Iterator
from random import Random

from training.supervision.article import Article, join, passages, word_spans
from training.supervision.pair import LEAST_QUERY_WORDS, Pair

# A crop has so much of its stretch, and a stretch the words of so many passages.
LEAST_SHARE = 0.05
MOST_SHARE = 0.5
_STRETCH = 2


def crops(article: Article, length: int, chance: Random) -> Iterator[Pair]:
    """Cut two pieces out of each stretch of two passages' length, each chosen alone: they may meet.

    A piece has 5% to 50% of the stretch's words, in their order (Izacard et al., 2022,
    "Unsupervised Dense Information Retrieval with Contrastive Learning", Contriever), and at least
    four.
    """
    for stretch in passages(article, _STRETCH * length):
        text = join(stretch)
        spans = word_spans(text)
        if len(spans) > LEAST_QUERY_WORDS:
            yield Pair(query=_crop(text, spans, chance), positive=_crop(text, spans, chance))


def _crop(text: str, spans: list[tuple[int, int]], chance: Random) -> str:
    share = chance.uniform(LEAST_SHARE, MOST_SHARE)
    words = min(max(LEAST_QUERY_WORDS, round(share * len(spans))), len(spans))
    first = chance.randrange(len(spans) - words + 1)
    return text[spans[first][0] : spans[first + words - 1][1]]
