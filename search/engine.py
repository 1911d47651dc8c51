"""A query through its stages: lexical and dense side by side, fusion, documents, highlights."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.index import Index
from search.fusion import Ranking, min_max, rank, reciprocal_rank
from search.highlight import highlight
from search.hits import Hit, Mode, Place, Request, Results, ScoredPassage, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Candidates of each retrieval, whatever `top` is, so that a longer list only adds to a shorter.
DEPTH = 1000
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

    def search(self, request: Request) -> Results:
        """Answer a query.

        An empty query, unknown words, an empty index and a filter that passes nothing all give
        no hits.

        Raises:
            ClozeError: the index has no vectors for the mode asked for, a number is out of its
                range, or the filter names a field that no document has.
        """
        mode = self._mode(request)
        if not request.query.strip():
            counted = request.filter is not None or request.count
            return Results(query=request.query, mode=mode, total_matches=0 if counted else None)
        with self.index.reading():
            return _Search(self.index, self._side, request, mode).run()

    def rank(self, request: Request) -> list[tuple[str, float]]:
        """Answer a query by (id, score) alone, without reading the documents: for run files.

        Raises:
            ClozeError: as `search`.
        """
        mode = self._mode(request)
        if not request.query.strip():
            return []
        with self.index.reading():
            return _Search(self.index, self._side, request, mode).pairs()

    def _mode(self, request: Request) -> Mode:
        for name, number, least in (
            ("top", request.top, 0),
            ("offset", request.offset, 0),
            ("passages", request.passages, 1),
        ):
            if number < least:
                raise ClozeError(f"{name} is {number}; it must be {least} or more")
        for name, value, known in (
            ("mode", request.mode or "hybrid", ("hybrid", "dense", "lexical")),
            ("fusion", request.fusion, ("minmax", "rrf")),
        ):
            if value not in known:
                raise ClozeError(f"{name} is {value!r}; choose {', '.join(known)}")
        if not 0 <= request.weight <= 1:
            raise ClozeError(f"weight is {request.weight:g}; it must lie between 0 and 1")
        has_vectors = self.index.manifest.encoder is not None
        mode: Mode = request.mode or ("hybrid" if has_vectors else "lexical")
        if mode != "lexical" and not has_vectors:
            raise ClozeError(
                f"{self.index.folder} was built with --lexical-only, asked for --mode {mode}; use "
                f"--mode lexical, or: cloze reindex {self.index.folder} --model MODEL"
            )
        return mode


class _Search:
    """One query under way; what a stage leaves for the next are its attributes."""

    def __init__(
        self, index: Index, side: ThreadPoolExecutor, request: Request, mode: Mode
    ) -> None:
        self.index = index
        self.side = side
        self.request = request
        self.mode = mode
        self.first = request.offset
        self.last = request.offset + request.top
        self.took: dict[str, float] = {}
        self.allowed: NDArray[np.int64] | None = None
        self.vector: NDArray[np.float32] | None = None
        self.stages: dict[str, Ranking] = {}

    def pairs(self) -> list[tuple[str, float]]:
        final = self._rank()
        numbers = final.numbers[self.first : self.last].tolist()
        ids = self.index.store.ids(numbers)
        return [
            (ids[number], score)
            for number, score in zip(
                numbers, final.scores[self.first : self.last].tolist(), strict=True
            )
        ]

    def _rank(self) -> Ranking:
        if self.request.filter is not None:
            with self._timed("filter"):
                self.allowed = self.index.store.matching(self.request.filter, self.index.sequence)
        self._retrieve()
        with self._timed("fusion"):
            return self._fuse()

    def run(self) -> Results:
        begin = perf_counter()
        final = self._rank()
        with self._timed("documents"):
            hits = self._hits(final)
        total = self._total()
        self.took["total"] = (perf_counter() - begin) * 1000
        return Results(
            query=self.request.query, mode=self.mode, hits=hits, total_matches=total,
            took_ms={stage: round(took, 3) for stage, took in self.took.items()},
        )  # fmt: skip

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begin = perf_counter()
        yield
        self.took[stage] = (perf_counter() - begin) * 1000

    def _retrieve(self) -> None:
        """Run the lexical retrieval beside the encoding of the query, then the dense one."""
        pending = None if self.mode == "dense" else self.side.submit(self._lexical)
        if self.mode != "lexical":
            with self._timed("encode"):
                self.vector = self.index.encoder.encode_queries([self.request.query])[0]
            with self._timed("dense"):
                near = self.index.dense.search(self.vector, DEPTH, self.allowed)
                self.stages["dense"] = self._cut(near.numbers, near.scores)
        if pending is not None:
            numbers, scores = pending.result()
            self.stages["lexical"] = self._cut(numbers, scores)

    def _lexical(self) -> "tuple[NDArray[np.int64], NDArray[np.float64]]":
        with self._timed("lexical"):
            found = self.index.lexical.search(self.request.query, DEPTH, self.allowed)
        return found.numbers, found.scores

    def _cut(self, numbers: "NDArray[np.int64]", scores: "NDArray[np.float64]") -> Ranking:
        """Put a stage's candidates in order, as far as anything looks at it."""
        ids = self.index.store.ids
        if self.mode != "hybrid":
            settle: int | None = self.last
        else:
            settle = None if self.request.fusion == "rrf" else 0
        return rank(numbers, scores, ids, depth=DEPTH, settle=settle)

    def _fuse(self) -> Ranking:
        if self.mode != "hybrid":
            return self.stages[self.mode]
        lexical, dense, ids = self.stages["lexical"], self.stages["dense"], self.index.store.ids
        if self.request.fusion == "rrf":
            self.stages["fused"] = reciprocal_rank(lexical, dense, ids, self.last)
        else:
            self.stages["fused"] = min_max(lexical, dense, self.request.weight, ids, self.last)
        return self.stages["fused"]

    def _total(self) -> int | None:
        """Count what the retrieval can reach: with words of the query, or all that has vectors."""
        if self.allowed is None and not self.request.count:
            return None
        if self.mode == "lexical":
            return self.index.lexical.count_matches(self.request.query, self.allowed)
        return self.index.lexical.count if self.allowed is None else len(self.allowed)

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
        if self.vector is None:
            return {number: () for number in numbers}
        scored = {
            number: self.index.dense.passages(number, self.vector)[: self.request.passages]
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
