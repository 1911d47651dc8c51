"""BM25's time by query: ours, bm25s with numba and rank-bm25, in turn over the same terms."""

import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.figures import machine, spread
from eval.bench.variations import short_documents
from indexer.corpus import Corpus
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.index import Index

_QUERY_WORDS = 9
_WARM_UP = 5
_DEPTHS = (10, 1000)
# rank-bm25 takes seconds a query, and a dictionary in memory for each document.
_RANK_BM25_QUERIES = 5
_RANK_BM25_DOCUMENTS = 100_000
_SHARES = (0.5, 0.1, 0.01, 0.001, 0.0)
_FILTERED_QUERIES = 20

_Find = Callable[[list[str], int], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """A query as the user types it, and its terms."""

    text: str
    terms: list[str]


def bench_lexical(
    corpus: str, documents: int, queries: int, threads: int | None, folder: str | None
) -> dict[str, Any]:
    """Index short documents of a corpus, lexical-only, and time queries of nine words from them.

    The stage's time is from terms to internal document numbers, best first; "analysed" is ours from
    the text. bm25s gets a query a call and one thread, as ours does. With `folder` the index is
    kept there, and used where it is there already.
    """
    chosen, own = short_documents(Corpus([corpus]), documents)
    with ExitStack() as stack:
        place = folder or stack.enter_context(tempfile.TemporaryDirectory())
        settings = Settings(lexical_only=True)
        index = stack.enter_context(Index.open(Path(place), settings, threads=threads))
        seconds = _fill(index, chosen)
        drawn = _drawn(index, chosen, queries + _WARM_UP)
        others = {"bm25s": _bm25s(index, chosen)}
        if documents <= _RANK_BM25_DOCUMENTS:
            others["rank_bm25"] = _rank_bm25(index, chosen)
        return {
            "bench": "lexical",
            "documents": documents,
            "own_documents": own,
            "repeated_with_changed_words": documents - own,
            "queries": queries,
            "index_s": seconds,
            "segments": index.lexical.segments,
            **{f"depth_{depth}": _compare(index, others, drawn, depth) for depth in _DEPTHS},
            "filtered_ms": {f"{share:g}": _filtered(index, drawn, share) for share in _SHARES},
            "machine": machine(index.threads)
            | {name: version(name) for name in ("bm25s", "numba", "rank-bm25")},
        }


def _fill(index: Index, documents: list[Document]) -> float | None:
    """Index the documents and return the seconds, or None where they are there already."""
    if index.lexical.count == len(documents):
        return None
    if index.lexical.count:
        raise ClozeError(
            f"{index.folder} holds {index.lexical.count} documents, asked for {len(documents)}; "
            "name a new folder"
        )
    begin = perf_counter()
    index.add(documents)
    return round(perf_counter() - begin, 1)


def _drawn(index: Index, documents: Sequence[Document], count: int) -> list[_Query]:
    rng = random.Random(0)
    drawn: list[_Query] = []
    while len(drawn) < count:
        words = rng.choice(documents).text.split()
        start = rng.randrange(max(1, len(words) - _QUERY_WORDS))
        text = " ".join(words[start : start + _QUERY_WORDS])
        if terms := index.analyzer.terms(text):
            drawn.append(_Query(text=text, terms=terms))
    return drawn


def _bm25s(index: Index, documents: Sequence[Document]) -> _Find:
    import bm25s

    vocabulary: dict[str, int] = {}
    numbers = [
        [vocabulary.setdefault(term, len(vocabulary)) for term in index.analyzer.terms(each.text)]
        for each in documents
    ]
    reference = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend="numba")
    reference.index((numbers, vocabulary), show_progress=False)

    def find(terms: list[str], depth: int) -> NDArray[np.int64]:
        found, _ = reference.retrieve([terms], k=depth, show_progress=False)
        ranked: NDArray[np.int64] = found[0] + 1  # our numbers begin at 1
        return ranked

    return find


def _rank_bm25(index: Index, documents: Sequence[Document]) -> _Find:
    from rank_bm25 import BM25Okapi

    reference = BM25Okapi([index.analyzer.terms(each.text) for each in documents], k1=1.2, b=0.75)

    def find(terms: list[str], depth: int) -> NDArray[np.int64]:
        scores = reference.get_scores(terms)
        best = np.argpartition(-scores, depth)[:depth]
        ranked: NDArray[np.int64] = best[np.argsort(-scores[best], kind="stable")] + 1
        return ranked

    return find


def _compare(
    index: Index, others: dict[str, _Find], drawn: Sequence[_Query], depth: int
) -> dict[str, Any]:
    """Time each query with each engine in turn; return milliseconds and ratios of medians."""
    times: dict[str, list[float]] = {"ours": [], "analysed": [], **{name: [] for name in others}}
    shared = []
    for place, query in enumerate(drawn):
        ours, took = _timed(index.lexical.search_terms, query.terms, depth)
        _, analysed = _timed(index.lexical.search, query.text, depth)
        rounds = {"ours": took, "analysed": analysed}
        for name, find in others.items():
            if name == "rank_bm25" and place >= _WARM_UP + _RANK_BM25_QUERIES:
                continue
            found, rounds[name] = _timed(find, query.terms, depth)
            if name == "bm25s":
                same = np.intersect1d(found[:10], ours.numbers[:10])
                shared.append(len(same) / min(10, max(1, len(ours.numbers))))
        if place >= _WARM_UP:
            for name, seconds in rounds.items():
                times[name].append(seconds)
    return {
        **{f"{name}_ms": spread(seconds) for name, seconds in times.items()},
        **{
            f"ours_to_{name}": round(float(np.median(times["ours"]) / np.median(times[name])), 4)
            for name in others
        },
        "shared_with_bm25s_of_10": round(float(np.mean(shared)), 3),
    }


def _filtered(index: Index, drawn: Sequence[_Query], share: float) -> dict[str, dict[str, float]]:
    """Time the search, depth 1,000, and the count, where a share of the documents is allowed."""
    numbers = index.lexical.numbers()
    size = round(len(numbers) * share)
    allowed = np.sort(np.random.default_rng(0).choice(numbers, size, replace=False))
    some = drawn[:_FILTERED_QUERIES]
    best = [_timed(index.lexical.search, q.text, _DEPTHS[-1], allowed)[1] for q in some]
    count = [_timed(index.lexical.count_matches, q.text, allowed)[1] for q in some]
    return {"search": spread(best), "count": spread(count)}


def _timed(function: Callable[..., Any], *arguments: object) -> tuple[Any, float]:
    begin = perf_counter()
    found = function(*arguments)
    return found, perf_counter() - begin
