"""Query vectors for searches that wait for one, made together, and handed on to the lanes."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from search.service.handles import Served
from search.service.jobs import Search
from search.service.observer import Observer
from search.service.rows import query_rows
from search.service.settling import begun, fail

if TYPE_CHECKING:
    from indexer.encoder import Encoder
    from indexer.runtime.rows import TokenRow

    # A search, with the rows of those of its queries that need a vector.
    Prepared = tuple[Search, list[TokenRow]]


class QueryEncoding:
    """The first stage of a search, run in the models' thread."""

    def __init__(
        self,
        served: Callable[[], Served],
        hand_on: Callable[[Sequence[Search]], None],
        batch_tokens: int,
        observer: Observer,
    ) -> None:
        """Encode with what is served now, at most so many tokens at once."""
        self._served = served
        self._hand_on = hand_on
        self._batch_tokens = batch_tokens
        self._observer = observer

    def __call__(self, searches: Sequence[Search]) -> None:
        """Give searches their vectors; those of one batch are handed on together.

        Without an encoder they go on as they are, for the engine to say why.
        """
        running = begun(searches, "search", self._observer)
        served = self._served()
        if served.encoder is None:
            self._hand_on(running)
            return
        for part in self._parts(served.encoder, running):
            self._hand_on(self._encoded(served, part))

    def _parts(self, encoder: "Encoder", searches: Sequence[Search]) -> "Iterator[list[Prepared]]":
        """Tokenise all at once, and cut into parts of so many tokens."""
        rows = iter(query_rows(encoder, [text for each in searches for text in _texts(each)]))
        part: list[Prepared] = []
        tokens = 0
        for search in searches:
            its_rows = [next(rows) for _ in search.dense]
            its_tokens = sum(len(row.ids) for row in its_rows)
            if part and tokens + its_tokens > self._batch_tokens:
                yield part
                part, tokens = [], 0
            part.append((search, its_rows))
            tokens += its_tokens
        if part:
            yield part

    def _encoded(self, served: Served, part: "Sequence[Prepared]") -> list[Search]:
        """Return the searches of a part with their vectors; one that can't have any fails alone."""
        if served.encoder is None:
            raise AssertionError("there is nothing to encode with")
        rows = [row for _, its_rows in part for row in its_rows]
        self._observer.batch("query", len(rows), sum(len(row.ids) for row in rows))
        try:
            vectors = iter(served.encoder.vectors(rows))
        except Exception as error:
            if len(part) == 1:
                fail(part[0][0].future, error)
                return []
            return [done for each in part for done in self._encoded(served, [each])]
        for search, _ in part:
            search.vectors = {place: next(vectors) for place in search.dense}
            search.seal = served.seal
        return [search for search, _ in part]


def _texts(search: Search) -> Iterator[str]:
    return (search.requests[place].query for place in search.dense)
