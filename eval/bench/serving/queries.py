"""Queries that are all different and still like real ones: words of several, mixed."""

import random
from collections.abc import Iterator, Sequence
from itertools import islice

from indexer.errors import ClozeError

# So many times the words are drawn anew before the queries count as too few.
_ATTEMPTS = 100


class UniqueQueries:
    """An endless supply of queries, none of which comes twice.

    Each has as many words as some real query, about half of them its own and the rest those of
    another real one, shuffled: so lengths and words are those of the real queries, and no cache
    can know an answer. The same seed gives the same queries.
    """

    def __init__(self, texts: Sequence[str], seed: int, source: str) -> None:
        """Draw from real queries, which `source` names in errors.

        Raises:
            ClozeError: none of them has a word.
        """
        self._words = [words for text in texts if (words := text.split())]
        if not self._words:
            raise ClozeError(f"{source} has 0 queries with words, expected one or more; add a line")
        self._source = source
        self._drawn = self._draw(random.Random(seed))
        self._seen: set[str] = set()

    def take(self, count: int) -> list[str]:
        """Return so many that were not returned before.

        Raises:
            ClozeError: the real queries have too few words for that.
        """
        return list(islice(self._drawn, count))

    def _draw(self, chance: random.Random) -> Iterator[str]:
        while True:
            for _ in range(_ATTEMPTS):
                text = " ".join(_mixed(chance, self._words))
                if text not in self._seen:
                    break
            else:
                raise ClozeError(
                    f"the queries of {self._source} can be mixed in {len(self._seen):,} ways or "
                    "little more, and more were needed; give a file with more queries"
                )
            self._seen.add(text)
            yield text


def _mixed(chance: random.Random, queries: Sequence[Sequence[str]]) -> list[str]:
    first, second = chance.choice(queries), chance.choice(queries)
    own = chance.sample(first, (len(first) + 1) // 2)
    other = chance.sample(second, min(len(second), len(first) - len(own)))
    mixed = [*own, *other]
    chance.shuffle(mixed)
    return mixed
