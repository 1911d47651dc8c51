"""Inverse cloze: a sentence as the query for the passage that it was taken out of."""

from collections.abc import Iterator
from random import Random

from training.supervision.article import Article, count_words, join, passages
from training.supervision.pair import LEAST_POSITIVE_WORDS, LEAST_QUERY_WORDS, Pair

KEPT_IN = 0.1


def inverse_cloze(article: Article, length: int, chance: Random) -> Iterator[Pair]:
    """Take a random sentence of each passage for a query; the rest, title in front, answers it.

    With probability 0.1 the sentence is kept in, so that words that meet are learned from as well
    (Lee, Chang and Toutanova, 2019, "Latent Retrieval for Weakly Supervised Open Domain Question
    Answering"). A sentence that the rest says again is never the query where it is taken out.
    """
    for passage in passages(article, length):
        places = [
            place for place, sentence in enumerate(passage)
            if count_words(sentence) >= LEAST_QUERY_WORDS
        ]  # fmt: skip
        if len(passage) < 2 or not places:
            continue
        place, keeps = chance.choice(places), chance.random() < KEPT_IN
        query = passage[place]
        rest = article.titled(join(passage if keeps else (*passage[:place], *passage[place + 1 :])))
        said_again = not keeps and query in rest
        if not said_again and count_words(rest) >= LEAST_POSITIVE_WORDS:
            yield Pair(query=query, positive=rest)
