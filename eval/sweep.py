"""Every setting on every query, as a search of the index by it would answer.

Both retrievals run once a query, BM25 once more for every other title weight; what is left for
each setting is to fuse their candidates and to score the places that the measure looks at.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eval.collections import Collection
from eval.judgements import Qrels
from eval.measures import cutoff, score
from eval.runs import Ranked, Run
from eval.settings import Setting
from indexer.index import Index
from indexer.lexical import Lexical
from indexer.progress import Progress, Step
from search.fusion import Ranking, min_max, rank, reciprocal_rank
from search.retrieval import Candidates
from search.runs import column

# [settings, queries]
Values: TypeAlias = NDArray[np.float64]

# BM25 by its title weight.
_Stage: TypeAlias = int | Literal["dense"]
# How far down a measure without a cut-off looks, as an evaluation does.
TOP = 1000


class Counted:
    """The queries of a collection, counted while they are searched."""

    def __init__(self, collection: Collection) -> None:
        """Start before the first query."""
        self._collection = collection
        self._done = 0

    def position(self) -> float | None:
        """Return the share of the queries that have been searched; None before the first."""
        return self._done / len(self._collection.queries) if self._done else None

    def each(self, progress: Progress) -> Iterator[tuple[int, str, str]]:
        """Yield (place, query, text), and tell of every query when the next one is asked for."""
        for place, (query, text) in enumerate(self._collection.queries.items()):
            yield place, query, text
            self._done += 1
            progress(Step(phase="search", documents=self._done))


class Sweep:
    """One pass over the queries of a collection, which only reads the index."""

    def __init__(self, index: Index, collection: Collection, measure: str) -> None:
        """Measure an index on a collection of its documents; `measure` is a canonical name."""
        self._index = index
        self._collection = collection
        self._measure = measure
        self._queries = Counted(collection)
        self.position = self._queries.position

    def run(self, settings: Sequence[Setting], progress: Progress) -> Values:
        """Return the measure of every setting for every query, in the order of both."""
        queries = self._collection.queries
        top = cutoff(self._measure) or TOP
        values = np.zeros((len(settings), len(queries)))
        with ExitStack() as stack:
            # One commit for all queries: postings of other weights are made from it too.
            stack.enter_context(self._index.reading())
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="cloze-tune-"))
            retrieve = self._retrieval(settings, Path(scratch), progress)
            for place, query, text in self._queries.each(progress):
                if text.strip():
                    found = retrieve(text)
                    ranked = [found.ranked(setting, top) for setting in settings]
                    values[:, place] = self._score(query, ranked)
        return values

    def _retrieval(
        self, settings: Sequence[Setting], scratch: Path, progress: Progress
    ) -> Callable[[str], "Found"]:
        """Open postings of every title weight, and return what runs a query's first stages."""
        index, deepest = self._index, max(setting.depth for setting in settings)
        lexical = {index.lexical.title_weight: index.lexical}
        for weight in {setting.title_weight for setting in settings} - lexical.keys():
            progress(Step(phase="lexical", documents=0))
            lexical[weight] = Lexical(scratch / str(weight), index.analyzer, weight)
            lexical[weight].rebuild(index.store)

        def retrieve(text: str) -> Found:
            # Half characters of bad JSON, which nothing can encode, as a search takes them.
            text = text.encode(errors="replace").decode()
            stages: dict[_Stage, Candidates] = {}
            for weight, postings in lexical.items():
                best = postings.search(text, deepest)
                stages[weight] = best.numbers, best.scores
            if index.manifest.encoder is not None:
                near = index.dense.search(index.encoder.encode_queries([text])[0], deepest)
                stages["dense"] = near.numbers, near.scores
            numbers = np.unique(np.concatenate([numbers for numbers, _ in stages.values()]))
            return Found(stages, index.store.ids(numbers.tolist()))

        return retrieve

    def _score(self, query: str, ranked: Sequence[Ranked]) -> list[float]:
        """Return one query's value of every setting, each being a query of its own to `score`."""
        ways = {str(way): each for way, each in enumerate(ranked)}
        qrels: Qrels = dict.fromkeys(ways, self._collection.qrels[query])
        found = score(qrels, Run(name="sweep", ranked=ways), [self._measure])[self._measure]
        return [found[way] for way in ways]


class Found:
    """One query's candidates, and what each setting makes of them."""

    def __init__(self, stages: Mapping[_Stage, Candidates], names: Mapping[int, str]) -> None:
        """Keep the candidates of every retrieval, and the ids of all."""
        self._stages = stages
        self._names = names
        self._columns = {number: column(name) for number, name in names.items()}
        self._cuts: dict[tuple[_Stage, int, int | None], Ranking] = {}

    def ranked(self, setting: Setting, top: int) -> Ranked:
        """Return the best `top` documents by a setting, ids as a run file has them."""
        final = self._rank(setting, top)
        numbers, scores = final.numbers[:top].tolist(), final.scores[:top].tolist()
        return [(self._columns[number], each) for number, each in zip(numbers, scores, strict=True)]

    def _rank(self, setting: Setting, top: int) -> Ranking:
        if setting.fusion is None:
            return self._cut(setting.title_weight, setting.depth, top)
        settle = None if setting.fusion == "rrf" else 0
        lexical = self._cut(setting.title_weight, setting.depth, settle)
        dense = self._cut("dense", setting.depth, settle)
        if setting.fusion == "rrf":
            return reciprocal_rank(lexical, dense, self._ids, top)
        return min_max(lexical, dense, setting.weight or 0.0, self._ids, top)

    def _cut(self, stage: _Stage, depth: int, settle: int | None) -> Ranking:
        """Put a retrieval's candidates in order; many settings share this."""
        key = stage, depth, settle
        if key not in self._cuts:
            self._cuts[key] = rank(*self._stages[stage], self._ids, depth=depth, settle=settle)
        return self._cuts[key]

    def _ids(self, numbers: Sequence[int]) -> Mapping[int, str]:
        return self._names
