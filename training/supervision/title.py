"""Title to body: a document's title as the query for its opening."""

from collections.abc import Iterator
from random import Random

from training.supervision.article import Article, count_words, join, passages
from training.supervision.pair import LEAST_POSITIVE_WORDS, Pair


def title_to_body(article: Article, length: int, chance: Random) -> Iterator[Pair]:
    """Pair a title with the document's first passage that is not short, the title left out of it.

    MacAvaney, Yates, Hui and Frieder, 2019, "Content-Based Weak Supervision for Ad-Hoc
    Re-Ranking", train on headlines and the text under them. One pair a document; nothing here is
    left to chance.
    """
    if not article.title:
        return
    for passage in passages(article, length):
        positive = join(passage)
        if count_words(positive) >= LEAST_POSITIVE_WORDS:
            yield Pair(query=article.title, positive=positive)
            return
