"""A query through its stages: what it leaves open, the retrievals side by side, the answer."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from indexer.errors import ClozeError, RequestError
from indexer.index import Index
from indexer.manifest import Defaults
from search.answer import Answer, mode_of
from search.facets import count_facets
from search.hits import Request, Results
from search.reranking.loaded import Rerankers
from search.reranking.opening import NONE
from search.reranking.options import resolve_rerank
from search.retrieval import Ahead, Asked, Retrieved, begin_lexical, retrieve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from search.reranking.reranker import Reranker

# What holds where neither the request nor the index says otherwise. The depth, candidates of each
# retrieval, does not follow `top`, so that a longer list only adds to a shorter.
BUILT_IN = Defaults(fusion="minmax", weight=0.5, depth=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """What a query's documents are ranked as: (id, score), best first, and the query's vector.

    `vector` is [dimension], None in a lexical ranking.
    """

    pairs: Sequence[tuple[str, float]]
    vector: "NDArray[np.float32] | None"


class SearchEngine:
    """Ranked answers from one index; use it from one thread."""

    def __init__(self, index: Index) -> None:
        """Search an open index, moving with its commits between two queries."""
        self.index = index
        self._side = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lexical")
        # A thread of its own, so that a query whose turn it is waits for none that was begun.
        self._ahead = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lexical-ahead")
        self._rerankers = Rerankers(index)

    def close(self) -> None:
        """End the threads of the lexical stage."""
        self._side.shutdown(wait=False)
        self._ahead.shutdown(wait=False, cancel_futures=True)

    @property
    def depth(self) -> int:
        """How many candidates each retrieval fetches where a request does not say."""
        return self.index.manifest.defaults.depth or BUILT_IN.depth or 0

    def begin(self, request: Request) -> Ahead | None:
        """Begin the lexical stage of a hybrid search while its vector is made; from any thread.

        None where it can't be begun: with a filter, or when the engine is closed.
        """
        if request.mode not in (None, "hybrid") or request.filter is not None:
            return None
        with suppress(RuntimeError):  # closed meanwhile
            return begin_lexical(
                self.index, self._ahead, request.query, request.depth or self.depth
            )  # fmt: skip
        return None

    def search(self, request: Request) -> Results:
        """Answer a query.

        An empty query, unknown words, an empty index and a filter that passes nothing all give
        no hits.

        Raises:
            ClozeError: the index has no vectors for the mode asked for, a number is out of its
                range, the filter names a field that no document has, or the reranker can't be had.
        """
        (answer,) = self.search_many([request])
        if isinstance(answer, ClozeError):
            raise answer
        return answer

    def search_many(
        self,
        requests: Sequence[Request],
        vectors: "Sequence[NDArray[np.float32] | None] | None" = None,
        ahead: Sequence[Ahead | None] | None = None,
    ) -> list[Results | ClozeError]:
        """Answer queries at one commit, encoding them together; each as `search` would alone.

        `vectors` are those that are known, [dimension], and `ahead` what `begin` gave, in the order
        of the queries. A query that can't be answered gives its error, and leaves the others alone.
        """
        known = vectors or [None] * len(requests)
        begun = ahead or [None] * len(requests)
        with self.index.reading():
            resolved = [self._resolved(request) for request in requests]
            asked = [
                (place, _asked([request], known[place], begun[place]))
                for place, request in enumerate(resolved)
                if isinstance(request, Request) and request.query.strip()
            ]
            retrieved = self._retrieve([each for _, each in asked])
            founds = {place: found for (place, _), found in zip(asked, retrieved, strict=True)}
            return [
                self._answered(request, founds.get(place)) for place, request in enumerate(resolved)
            ]

    def _resolved(self, request: Request) -> Request | ClozeError:
        try:
            return self.resolve(request)
        except ClozeError as error:
            return error

    def _retrieve(self, asked: Sequence[Asked]) -> list[Retrieved | ClozeError]:
        """Run the first stages of all; where what they share fails, of each by itself."""
        try:
            return retrieve(self.index, self._side, asked)
        except ClozeError as error:
            if len(asked) == 1:
                return [error]
            return [found for each in asked for found in self._retrieve([each])]

    def _answered(
        self, request: Request | ClozeError, found: Retrieved | ClozeError | None
    ) -> Results | ClozeError:
        if isinstance(request, ClozeError):
            return request
        if isinstance(found, ClozeError):
            return found
        try:
            if found is None:
                return self._nothing(request)
            results = self._answer(found, request).results()
            if request.filter is None:
                return results
            misfits = self.index.store.misfits(request.filter, self.index.sequence)
        except ClozeError as error:
            return error
        return replace(results, notices=(*results.notices, *misfits))

    def _nothing(self, request: Request) -> Results:
        store, fields = self.index.store, request.facets
        return Results(
            query=request.query,
            mode=mode_of(request),
            total_matches=0 if request.filter is not None or request.count else None,
            facets=count_facets(store, fields, []) if fields else None,
            index_version=self.index.version,
        )

    def rank(self, requests: Sequence[Request]) -> list[list[tuple[str, float]]]:
        """Answer one query in several ways, retrieving once, each by (id, score) alone.

        All requests have the query and the filter of the first one. Documents are read for a
        reranker alone, and each is scored once, whatever the requests' weights and depths.

        Raises:
            ClozeError: as `search`.
        """
        with self.index.reading():
            requests = [self.resolve(request) for request in requests]
            if not requests or not requests[0].query.strip():
                return [[] for _ in requests]
            (found,) = retrieve(self.index, self._side, [_asked(requests)])
            if isinstance(found, ClozeError):
                raise found
            return [self._answer(found, request).pairs() for request in requests]

    def rank_each(self, requests: Sequence[Request]) -> list[Ranked]:
        """Answer several queries, encoding them together, each by (id, score) and its vector.

        Raises:
            ClozeError: as `search`, for the first that can't be answered.
        """
        with self.index.reading():
            requests = [self.resolve(request) for request in requests]
            founds = retrieve(self.index, self._side, [_asked([each]) for each in requests])
            return [
                self._ranked(found, request)
                for found, request in zip(founds, requests, strict=True)
            ]

    def resolve(self, request: Request) -> Request:
        """Fill in what the request leaves open: from the index's defaults, then the built-in.

        Raises:
            ClozeError: as `search`, but for its filter.
        """
        sealed = self.index.manifest
        has_vectors = sealed.encoder is not None
        stored = sealed.defaults
        request = replace(
            request,
            mode=request.mode or ("hybrid" if has_vectors else "lexical"),
            fusion=_first(request.fusion, stored.fusion, BUILT_IN.fusion),
            weight=_first(request.weight, stored.weight, BUILT_IN.weight),
            depth=_first(request.depth, stored.depth, BUILT_IN.depth),
        )
        _check(request)
        request = resolve_rerank(request, stored)
        if request.mode != "lexical" and not has_vectors:
            raise RequestError(
                f"{self.index.folder} was built with --lexical-only, asked for --mode "
                f"{request.mode}; use --mode lexical, or: cloze reindex {self.index.folder} "
                "--model MODEL",
                param="mode",
            )
        if request.rerank not in (None, NONE):
            self._rerankers.get(request.rerank)  # what is wrong with it is told at once
        return request

    def reranker(self, name: str) -> "Reranker":
        """Return a reranker by its name: late, or a cross-encoder's checkpoint.

        Raises:
            ClozeError: it can't be had.
        """
        return self._rerankers.get(name).reranker

    def reranker_hash(self, name: str) -> str:
        """Return the hash of all but our code that a reranker's scores depend on.

        Raises:
            ClozeError: the reranker can't be had.
        """
        return self.reranker(name).content_hash

    def _ranked(self, found: Retrieved | ClozeError, request: Request) -> Ranked:
        if isinstance(found, ClozeError):
            raise found
        return Ranked(pairs=self._answer(found, request).pairs(), vector=found.vector)

    def _answer(self, found: Retrieved, request: Request) -> Answer:
        return Answer(self.index, found, request, self._rerankers)


def _asked(
    requests: Sequence[Request],
    vector: "NDArray[np.float32] | None" = None,
    ahead: Ahead | None = None,
) -> Asked:
    """Say what requests with the same query and filter need together."""
    modes = {request.mode for request in requests}
    stages = {"lexical", "dense"} if "hybrid" in modes else {mode or "" for mode in modes}
    return Asked(
        query=requests[0].query, stages=frozenset(stages), condition=requests[0].filter,
        depth=max(request.depth or 0 for request in requests), vector=vector, ahead=ahead,
    )  # fmt: skip


def _first(*values: Any) -> Any:  # noqa: ANN401 - of whatever type they are
    return next(value for value in values if value is not None)


def _check(request: Request) -> None:
    for name, number, least in (
        ("top", request.top, 0),
        ("offset", request.offset, 0),
        ("passages", request.passages, 1),
        ("depth", request.depth or 0, 1),
    ):
        if number < least:
            raise RequestError(f"{name} is {number}; it must be {least} or more", param=name)
    for name, value, known in (
        ("mode", request.mode, ("hybrid", "dense", "lexical")),
        ("fusion", request.fusion, ("minmax", "rrf")),
    ):
        if value not in known:
            raise RequestError(f"{name} is {value!r}; choose {', '.join(known)}", param=name)
    if not 0 <= (request.weight or 0) <= 1:
        raise RequestError(
            f"weight is {request.weight:g}; it must lie between 0 and 1", param="weight"
        )
