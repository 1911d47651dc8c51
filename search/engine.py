"""A query through its stages: lexical and dense side by side, fusion, documents, highlights."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from typing import Any

from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.index import Index
from indexer.manifest import Defaults
from search.fusion import Ranking, min_max, rank, reciprocal_rank
from search.highlight import highlight
from search.hits import Hit, Mode, Place, Request, Results, ScoredPassage, Span
from search.retrieval import Retrieved, retrieve

# What holds where neither the request nor the index says otherwise. The depth, candidates of each
# retrieval, does not follow `top`, so that a longer list only adds to a shorter.
BUILT_IN = Defaults(fusion="minmax", weight=0.5, depth=1000)
_STAGES = ("lexical", "dense", "fused")


class SearchEngine:
    """Ranked answers from one index; use it from one thread."""

    def __init__(self, index: Index) -> None:
        """Search an open index, moving with its commits between two queries."""
        self.index = index
        self._side = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lexical")

    def close(self) -> None:
        """End the thread of the lexical stage."""
        self._side.shutdown(wait=False)

    @property
    def depth(self) -> int:
        """How many candidates each retrieval fetches where a request does not say."""
        return self.index.manifest.defaults.depth or BUILT_IN.depth or 0

    def search(self, request: Request) -> Results:
        """Answer a query.

        An empty query, unknown words, an empty index and a filter that passes nothing all give
        no hits.

        Raises:
            ClozeError: the index has no vectors for the mode asked for, a number is out of its
                range, or the filter names a field that no document has.
        """
        with self.index.reading():
            request = self._resolve(request)
            if not request.query.strip():
                counted = request.filter is not None or request.count
                total = 0 if counted else None
                return Results(query=request.query, mode=_mode(request), total_matches=total)
            return _Search(self.index, self._retrieve([request]), request).run()

    def rank(self, requests: Sequence[Request]) -> list[list[tuple[str, float]]]:
        """Answer one query in several ways, retrieving once, each by (id, score) alone.

        All requests have the query and the filter of the first one; documents are not read.

        Raises:
            ClozeError: as `search`.
        """
        with self.index.reading():
            requests = [self._resolve(request) for request in requests]
            if not requests or not requests[0].query.strip():
                return [[] for _ in requests]
            found = self._retrieve(requests)
            return [_Search(self.index, found, request).pairs() for request in requests]

    def _retrieve(self, requests: Sequence[Request]) -> Retrieved:
        modes = {request.mode for request in requests}
        stages = {"lexical", "dense"} if "hybrid" in modes else {mode or "" for mode in modes}
        return retrieve(
            self.index, self._side, requests[0].query, stages=frozenset(stages),
            depth=max(request.depth or 0 for request in requests), condition=requests[0].filter,
        )  # fmt: skip

    def _resolve(self, request: Request) -> Request:
        """Fill in what the request leaves open: from the index's defaults, then the built-in."""
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
        if request.mode != "lexical" and not has_vectors:
            raise ClozeError(
                f"{self.index.folder} was built with --lexical-only, asked for --mode "
                f"{request.mode}; use --mode lexical, or: cloze reindex {self.index.folder} "
                "--model MODEL"
            )
        return request


def _first(*values: Any) -> Any:  # noqa: ANN401 - of whatever type they are
    return next(value for value in values if value is not None)


def _mode(request: Request) -> Mode:
    """Return the mode of a request that has been resolved."""
    if request.mode is None:
        raise AssertionError("the request was not resolved")
    return request.mode


def _check(request: Request) -> None:
    for name, number, least in (
        ("top", request.top, 0),
        ("offset", request.offset, 0),
        ("passages", request.passages, 1),
        ("depth", request.depth or 0, 1),
    ):
        if number < least:
            raise ClozeError(f"{name} is {number}; it must be {least} or more")
    for name, value, known in (
        ("mode", request.mode, ("hybrid", "dense", "lexical")),
        ("fusion", request.fusion, ("minmax", "rrf")),
    ):
        if value not in known:
            raise ClozeError(f"{name} is {value!r}; choose {', '.join(known)}")
    if not 0 <= (request.weight or 0) <= 1:
        raise ClozeError(f"weight is {request.weight:g}; it must lie between 0 and 1")


class _Search:
    """One query past its first stages; what a stage leaves for the next are its attributes."""

    def __init__(self, index: Index, found: Retrieved, request: Request) -> None:
        self.index = index
        self.found = found
        self.request = request
        self.mode = _mode(request)
        self.first = request.offset
        self.last = request.offset + request.top
        self.stages: dict[str, Ranking] = {}

    def pairs(self) -> list[tuple[str, float]]:
        final = self._rank()
        numbers = final.numbers[self.first : self.last].tolist()
        ids = self.index.store.ids(numbers)
        scores = final.scores[self.first : self.last].tolist()
        return [(ids[number], score) for number, score in zip(numbers, scores, strict=True)]

    def run(self) -> Results:
        with self.found.timed("fusion"):
            final = self._rank()
        with self.found.timed("documents"):
            hits = self._hits(final)
        total = self._total()
        self.found.took["total"] = (perf_counter() - self.found.begin) * 1000
        return Results(
            query=self.request.query, mode=self.mode, hits=hits, total_matches=total,
            took_ms={stage: round(took, 3) for stage, took in self.found.took.items()},
        )  # fmt: skip

    def _rank(self) -> Ranking:
        wanted = ("lexical", "dense") if self.mode == "hybrid" else (self.mode,)
        self.stages = {stage: self._cut(stage) for stage in wanted}
        if self.mode == "hybrid":
            self.stages["fused"] = self._fuse()
            return self.stages["fused"]
        return self.stages[self.mode]

    def _cut(self, stage: str) -> Ranking:
        """Put a stage's candidates in order, as far as anything looks at it."""
        if self.mode != "hybrid":
            settle: int | None = self.last
        else:
            settle = None if self.request.fusion == "rrf" else 0
        numbers, scores = self.found.candidates[stage]
        ids = self.index.store.ids
        return rank(numbers, scores, ids, depth=self.request.depth, settle=settle)

    def _fuse(self) -> Ranking:
        lexical, dense, ids = self.stages["lexical"], self.stages["dense"], self.index.store.ids
        if self.request.fusion == "rrf":
            return reciprocal_rank(lexical, dense, ids, self.last)
        return min_max(lexical, dense, self.request.weight or 0.0, ids, self.last)

    def _total(self) -> int | None:
        """Count what the retrieval can reach: with words of the query, or all that has vectors."""
        allowed = self.found.allowed
        if allowed is None and not self.request.count:
            return None
        if self.mode == "lexical":
            return self.index.lexical.count_matches(self.request.query, allowed)
        return self.index.lexical.count if allowed is None else len(allowed)

    def _hits(self, final: Ranking) -> tuple[Hit, ...]:
        numbers = final.numbers[self.first : self.last].tolist()
        documents = self.index.store.documents(numbers)
        ids = self.index.store.ids
        places = {stage: found.places(numbers, ids) for stage, found in self.stages.items()}
        terms = set(self.index.analyzer.terms(self.request.query))
        windows = self._windows(numbers)
        return tuple(
            self._hit(place, number, documents[number], windows[number], terms, {
                stage: Place(*at) if (at := places.get(stage, {}).get(number)) else None
                for stage in _STAGES
            })
            for place, number in enumerate(numbers, self.first + 1)
        )  # fmt: skip

    def _windows(self, numbers: Sequence[int]) -> dict[int, tuple[ScoredPassage, ...]]:
        """Return each hit's best passages, which need the query's vector."""
        if self.found.vector is None:
            return {number: () for number in numbers}
        scored = {
            number: self.index.dense.passages(number, self.found.vector)[: self.request.passages]
            for number in numbers
        }
        wanted = [passage for pairs in scored.values() for passage, _ in pairs]
        windows = self.index.store.windows(wanted)
        return {
            number: tuple(
                ScoredPassage(start=windows[passage][0], end=windows[passage][1], score=score)
                for passage, score in pairs
            )
            for number, pairs in scored.items()
        }

    def _hit(
        self,
        place: int,
        number: int,
        document: Document,
        windows: tuple[ScoredPassage, ...],
        terms: set[str],
        stages: Mapping[str, Place | None],
    ) -> Hit:
        start, end = (windows[0].start, windows[0].end) if windows else (0, len(document.text))
        shown = highlight(document.text, terms, self.index.analyzer, start=start, end=end)
        decisive = stages["fused" if self.mode == "hybrid" else self.mode]
        if not windows:
            start, end = shown.snippet_start, shown.snippet_start + len(shown.snippet)
        return Hit(
            rank=place,
            id=document.id,
            score=decisive.score if decisive else 0.0,
            title=document.title,
            snippet=shown.snippet,
            snippet_start=shown.snippet_start,
            highlights=tuple(Span(span.start, span.end) for span in shown.highlights),
            passage=Span(start, end),
            passages=windows,
            metadata=document.metadata,
            stages=stages,
        )
