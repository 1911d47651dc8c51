"""The library's door: an index that can also be searched."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias, Unpack

from indexer.errors import ClozeError
from indexer.filters import Filter, parse
from indexer.index import Index as StoredIndex
from indexer.index import Published, tell_nobody
from indexer.progress import Progress, silent
from search.engine import SearchEngine
from search.hits import Options, Request, Results

Condition: TypeAlias = str | Mapping[str, Any]


class Index(StoredIndex):
    """An index folder with `open`, `add`, `delete`, `compact` and `search`."""

    @cached_property
    def _engine(self) -> SearchEngine:
        return SearchEngine(self)

    @property
    def depth(self) -> int:
        """How many candidates each retrieval fetches where a query does not say."""
        return self._engine.depth

    def search(
        self, query: str, *, filter: Condition | None = None, **options: Unpack[Options]
    ) -> Results:
        """Answer a query; `filter` is a filter's text or JSON, options are those of `Request`.

        Raises:
            ClozeError: an option or the filter is not valid for this index.
        """
        return self._engine.search(_request(query, filter, options))

    def search_many(
        self, queries: Sequence[str], *, filter: Condition | None = None, **options: Unpack[Options]
    ) -> list[Results]:
        """Answer queries at one commit, each as `search` would; much faster together than alone.

        Raises:
            ClozeError: as `search`, of any of them.
        """
        if isinstance(queries, str):
            raise ClozeError(
                f"search_many got one text, {queries!r}; give it a list, or use search"
            )
        asked = [_request(query, filter, options) for query in queries]
        answers = self._engine.search_many(asked)
        for answer in answers:
            if isinstance(answer, ClozeError):
                raise answer
        return [answer for answer in answers if isinstance(answer, Results)]

    def reranker_hash(self, name: str) -> str:
        """Return the hash of all but our code that a reranker's scores depend on.

        Raises:
            ClozeError: the reranker can't be had.
        """
        return self._engine.reranker_hash(name)

    def rank(
        self, query: str, *, filter: Condition | None = None, **options: Unpack[Options]
    ) -> list[tuple[str, float]]:
        """Answer a query by (id, score) alone, as `search` would rank them; much faster.

        Raises:
            ClozeError: as `search`.
        """
        return self._engine.rank([_request(query, filter, options)])[0]

    def rank_each(
        self,
        query: str,
        ways: Sequence[Options],
        *,
        filter: Condition | None = None,
    ) -> list[list[tuple[str, float]]]:
        """Answer a query in several ways, each as `rank` would; the retrievals run once for all.

        Raises:
            ClozeError: as `search`.
        """
        return self._engine.rank([_request(query, filter, options) for options in ways])

    def delete_matching(
        self,
        condition: Condition | Filter,
        *,
        progress: Progress = silent,
        published: Published = tell_nobody,
    ) -> int:
        """Delete the documents that a filter passes, its text or JSON; return how many there were.

        `published` is as in `add`.

        Raises:
            ClozeError: the filter is not valid for this index.
        """
        parsed = parse(condition) if isinstance(condition, str | Mapping) else condition
        return super().delete_matching(parsed, progress=progress, published=published)

    def close(self) -> None:
        """Free files and threads."""
        if "_engine" in self.__dict__:
            self._engine.close()
        super().close()


def _request(query: str, condition: Condition | None, options: Options) -> Request:
    # Bytes of a terminal that are no UTF-8 come as half characters, which nothing can encode.
    text = query.encode(errors="replace").decode()
    return Request(query=text, filter=None if condition is None else parse(condition), **options)
