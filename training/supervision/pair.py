"""A pair that bare text gave, and what a method that makes such pairs looks like."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from training.supervision.article import Article

# Fewer words than these say too little to be found by, or to be found.
LEAST_QUERY_WORDS = 4
LEAST_POSITIVE_WORDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A query and a passage that answers it, as far as the text itself can tell."""

    query: str
    positive: str


# An article, about how many words a passage is to have, and chance: to the article's pairs.
Method: TypeAlias = Callable[[Article, int, Random], Iterator[Pair]]
