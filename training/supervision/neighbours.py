"""Neighbours: a passage as the query for the one that follows or precedes it."""

from collections.abc import Iterator
from random import Random

from training.supervision.article import Article, count_words, join, passages
from training.supervision.pair import LEAST_POSITIVE_WORDS, Pair


def neighbours(article: Article, length: int, chance: Random) -> Iterator[Pair]:
    """Pair passages that stand side by side, each in one pair; chance says which one asks.

    Neelakantan et al., 2022, "Text and Code Embeddings by Contrastive Pre-Training", take
    neighbouring pieces of text for pairs.
    """
    found = [join(passage) for passage in passages(article, length)]
    for pair in zip(found[::2], found[1::2], strict=False):
        query, positive = pair if chance.random() < 0.5 else pair[::-1]
        if min(count_words(query), count_words(positive)) >= LEAST_POSITIVE_WORDS:
            yield Pair(query=query, positive=positive)
