"""Query vectors for searches that wait for one, made together, and handed on to the lanes."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from search.service.handles import Served
from search.service.jobs import Search
from search.service.models import slice_tokens
from search.service.observer import Observer
from search.service.settling import begun, fail

if TYPE_CHECKING:
    from indexer.encoder import Encoder
    from indexer.runtime.rows import TokenRow

    # A search, the place of one of its queries, and the tokens of that.
    Row = tuple[Search, int, TokenRow]


class QueryEncoding:
    """The first stage of a search, run in the models' thread."""

    def __init__(
        self,
        served: Callable[[], Served],
        begin: Callable[[Search], None],
        hand_on: Callable[[Sequence[Search]], None],
        batch_tokens: int,
        observer: Observer,
    ) -> None:
        """Encode with what is served now, at most so many tokens at once.

        `begin` hears of a search that waits alone, before its first queries are encoded.
        """
        self._served = served
        self._begin = begin
        self._hand_on = hand_on
        self._batch_tokens = batch_tokens
        self._observer = observer

    def __call__(self, searches: Sequence[Search]) -> list[Search]:
        """Give the first searches their vectors, a slice of tokens at most; return the others.

        Those that have all of theirs are handed on together. Without an encoder all go on as they
        are, for the engine to say why.
        """
        running = begun(searches, "search", self._observer)
        served = self._served()
        if served.encoder is None:
            self._hand_on(running)
            return []
        running = [each for each in running if self._tokenised(served, each)]
        # Where several wait, the lane's work on one batch runs beside the encoder's on the next.
        if len(running) == 1 and not running[0].vectors:
            self._begin(running[0])
        most = min(self._batch_tokens, slice_tokens(served.encoder.device))
        self._encode(served.encoder, _first(running, most))
        going = [each for each in running if not each.future.done()]
        self._hand_on([each for each in going if not each.rows])
        return [each for each in going if each.rows]

    def _tokenised(self, served: Served, search: Search) -> bool:
        """Make sure that a search has tokens for what is served; it fails alone where it can't."""
        if search.seal is not None and search.seal == served.seal:
            return True
        if served.encoder is None:
            raise AssertionError("there is nothing to encode with")
        texts = [search.requests[place].query for place in search.dense]
        try:
            rows = served.encoder.query_rows(texts)
        except Exception as error:
            fail(search.future, error)
            return False
        search.vectors, search.seal = {}, served.seal
        search.rows = dict(zip(search.dense, rows, strict=True))
        return True

    def _encode(self, encoder: "Encoder", chosen: "Sequence[Row]") -> None:
        """Make vectors of rows; where that fails, of each search's by themselves."""
        rows = [row for _, _, row in chosen]
        self._observer.batch("query", len(rows), sum(len(row.ids) for row in rows))
        try:
            vectors = encoder.vectors(rows)
        except Exception as error:
            searches = {id(search): search for search, _, _ in chosen}
            if len(searches) == 1:
                for search in searches.values():
                    fail(search.future, error)
                return
            for search in searches.values():
                self._encode(encoder, [each for each in chosen if each[0] is search])
            return
        for (search, place, _), vector in zip(chosen, vectors, strict=True):
            search.vectors[place] = vector
            del search.rows[place]


def _first(searches: Sequence[Search], most: int) -> "list[Row]":
    """Return the first rows of searches, at most so many tokens or one row."""
    found: list[Row] = []
    tokens = 0
    for search in searches:
        for place, row in search.rows.items():
            if found and tokens + len(row.ids) > most:
                return found
            found.append((search, place, row))
            tokens += len(row.ids)
    return found
