"""Runs of all systems over all queries: the index's first stages once, finished runs reused."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.baselines import RankBM25
from eval.finished import index_state, keep_run, load_run, reranker_state, run_key
from eval.runs import Ranked, Run, read_run
from eval.systems import Answer, System, ask, load_callable
from indexer.errors import ClozeError
from indexer.progress import Progress, Step, silent
from search.index import Index
from search.runs import column


class Scoring:
    """Answers every query by every system; `index` may be None where none needs it.

    With `reuse`, runs that were finished before are taken from the cache, and new ones kept there.
    `tags` holds for each run of the index the name that its TREC file carries, with the hash of
    what it depends on; `notices` are for the reader of the figures.
    """

    def __init__(
        self, index: Index | None, queries: Mapping[str, str], top: int, *, reuse: bool = True
    ) -> None:
        """Prepare to answer queries of (id, text), `top` documents each."""
        self.index = index
        self.queries = queries
        self.top = top
        self.reuse = reuse
        self.tags: dict[str, str] = {}
        self.notices: list[str] = []
        self._keys: dict[str, str] = {}
        self._progress: Progress = silent
        self._done = 0
        self._total = 0

    def position(self) -> float | None:
        """Return the share of the work that is done."""
        return self._done / self._total if self._total else None

    def runs(
        self, systems: Sequence[System], functions: Mapping[str, Answer], progress: Progress
    ) -> dict[str, Run]:
        """Return each system's run, by its name; `functions` are the library's own callables."""
        self._progress = progress
        self._total = len(self.queries) * len(systems)
        before = index_state(self.index) if self.index else {}
        for system in systems:
            if system.needs_index:
                self._keys[system.name] = self._key(system, before)
                self.tags[system.name] = f"{column(system.name)}-{self._keys[system.name][:12]}"
        kept = self._kept(systems)
        left = [system for system in systems if system.name not in kept]
        made = self._modes([system for system in left if system.kind == "mode"])
        for system in left:
            if system.kind == "run":
                made[system.name] = read_judged_run(system, self.queries, "the collection")
                self._advance(len(self.queries))
            elif system.name not in made:
                made[system.name] = self._one_by_one(system, functions)
        if self.index and index_state(self.index) != before:
            self.notices.append(
                f"{self.index.folder} was written to meanwhile: the systems did not all see the "
                "same documents"
            )
        else:
            self._keep(made)
        self.notices += unjudged_queries(made, self.queries)
        return {
            system.name: replace((kept | made)[system.name], tag=self.tags.get(system.name, ""))
            for system in systems
        }

    def _key(self, system: System, state: Mapping[str, Any]) -> str:
        reranker = reranker_state(system, self.index) if self.index else []
        return run_key(system, state, self.queries, self.top, reranker)

    def _kept(self, systems: Sequence[System]) -> dict[str, Run]:
        """Return the finished runs that the cache has."""
        kept: dict[str, Run] = {}
        for system in systems:
            key = self._keys.get(system.name)
            if key and self.reuse and (run := load_run(key, system.name, self.queries)):
                kept[system.name] = run
                self._advance(len(self.queries))
        if kept:
            self.notices.append(f"finished runs were reused: {', '.join(kept)}")
        return kept

    def _modes(self, systems: Sequence[System]) -> dict[str, Run]:
        """Answer each query by all modes together, so that each retrieval runs once."""
        if not systems or self.index is None:
            return {}
        ranked: dict[str, dict[str, Ranked]] = {system.name: {} for system in systems}
        ways = [system.options | {"top": self.top} for system in systems]
        for query, text in self.queries.items():
            answers = self.index.rank_each(text, ways)  # type: ignore[arg-type]
            for system, answer in zip(systems, answers, strict=True):
                ranked[system.name][query] = _encoded(answer)
            self._advance(len(systems))
        return {name: Run(name=name, ranked=found) for name, found in ranked.items()}

    def _one_by_one(self, system: System, functions: Mapping[str, Answer]) -> Run:
        answer = self._answer(system, functions)
        ranked: dict[str, Ranked] = {}
        for query, text in self.queries.items():
            ranked[query] = _encoded(answer(text, self.top)) if text.strip() else []
            self._advance(1)
        return Run(name=system.name, ranked=ranked)

    def _answer(
        self, system: System, functions: Mapping[str, Answer]
    ) -> Callable[[str, int], list[tuple[str, float]]]:
        if system.kind == "baseline" and self.index is not None:
            documents = (document for _, document in self.index.store.all_live())
            return RankBM25(system.name, documents, self.index.analyzer).rank
        function = functions.get(system.name) or load_callable(system.place)
        return lambda text, top: ask(system.name, function, text, top)

    def _keep(self, made: Mapping[str, Run]) -> None:
        for name, run in made.items():
            if self.reuse and name in self._keys:
                try:
                    keep_run(self._keys[name], run)
                except OSError as error:
                    self.notices.append(f"the run of {name} could not be kept: {error}")

    def _advance(self, queries: int) -> None:
        self._done += queries
        self._progress(Step(phase="search", documents=self._done))


def _encoded(ranked: Iterable[tuple[str, float]]) -> Ranked:
    return [(column(document), score) for document, score in ranked]


def read_judged_run(system: System, judged: Collection[str], of: str) -> Run:
    """Read the run file of a system, which must answer one of the judged queries at least.

    Raises:
        ClozeError: it answers none, or as `read_run`; `of` tells whose queries they are.
    """
    run = read_run(Path(system.place), system.name)
    if not run.ranked:
        raise ClozeError(f"{system.place} is empty; give a run of these queries")
    if not any(query in judged for query in run.ranked):
        raise ClozeError(
            f"{system.place} and {of} have no query in common: {min(run.ranked)!r} is of the one, "
            f"{min(judged)!r} of the other; give a run of these queries"
        )
    return run


def unjudged_queries(runs: Mapping[str, Run], judged: Collection[str]) -> list[str]:
    """Tell, a line a run, of queries that it answers and nobody judged."""
    counts = {name: sum(query not in judged for query in run.ranked) for name, run in runs.items()}
    return [
        f"{name} also answers {count:,} queries without judgements, which are left out"
        for name, count in counts.items()
        if count
    ]
