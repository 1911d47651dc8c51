"""Runs of all systems over all queries: the index's first stages once, finished runs reused."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from eval.baselines import RankBM25
from eval.finished import keep_run, load_run, run_key
from eval.runs import Ranked, Run, read_run
from eval.systems import Answer, System, check_answer, load_callable
from indexer.progress import Progress, Step, silent
from search.index import Index
from search.runs import column


class Scoring:
    """Answers every query by every system; `index` may be None where none needs it.

    `tags` holds for each finished run the name that its TREC file carries, with the hash of what
    it depends on; `reused` names the systems whose runs were in the cache.
    """

    def __init__(self, index: Index | None, queries: Mapping[str, str], top: int) -> None:
        """Prepare to answer queries of (id, text), `top` documents each."""
        self.index = index
        self.queries = queries
        self.top = top
        self.tags: dict[str, str] = {}
        self.reused: list[str] = []
        self._progress: Progress = silent
        self._done = 0
        self._total = 0

    def position(self) -> float | None:
        """Return the share of the work that is done."""
        return self._done / self._total if self._total else None

    def runs(
        self, systems: Iterable[System], functions: Mapping[str, Answer], progress: Progress
    ) -> dict[str, Run]:
        """Return each system's run, by its name; `functions` are the library's own callables."""
        self._progress = progress
        systems = list(systems)
        self._total = len(self.queries) * len(systems)
        runs: dict[str, Run] = {}
        missing = []
        for system in systems:
            if system.needs_index and (kept := self._kept(system)):
                runs[system.name] = kept
                self._advance(len(self.queries))
            elif system.kind == "mode":
                missing.append(system)
            elif system.kind == "run":
                runs[system.name] = read_run(Path(system.place), system.name)
                self._advance(len(self.queries))
        runs |= self._modes(missing)
        for system in systems:
            if system.name not in runs:
                runs[system.name] = self._one_by_one(system, functions)
        return {system.name: runs[system.name] for system in systems}

    def _kept(self, system: System) -> Run | None:
        if self.index is None:
            raise AssertionError("a system that needs the index came without one")
        key = run_key(system, self.index, self.queries, self.top)
        self.tags[system.name] = f"{column(system.name)}-{key[:12]}"
        if kept := load_run(key, system.name):
            self.reused.append(system.name)
        return kept

    def _modes(self, systems: list[System]) -> dict[str, Run]:
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
        return {
            system.name: self._keep(system, Run(name=system.name, ranked=ranked[system.name]))
            for system in systems
        }

    def _one_by_one(self, system: System, functions: Mapping[str, Answer]) -> Run:
        answer = self._answer(system, functions)
        ranked: dict[str, Ranked] = {}
        for query, text in self.queries.items():
            ranked[query] = _encoded(answer(text, self.top)) if text.strip() else []
            self._advance(1)
        return self._keep(system, Run(name=system.name, ranked=ranked))

    def _answer(
        self, system: System, functions: Mapping[str, Answer]
    ) -> Callable[[str, int], list[tuple[str, float]]]:
        if system.kind == "baseline" and self.index is not None:
            documents = (document for _, document in self.index.store.all_live())
            return RankBM25(system.name, documents, self.index.analyzer).rank
        function = functions.get(system.name) or load_callable(system.place)
        return lambda text, top: check_answer(system.name, function(text, top))[:top]

    def _keep(self, system: System, run: Run) -> Run:
        if system.needs_index and self.index is not None:
            keep_run(run_key(system, self.index, self.queries, self.top), run)
        return run

    def _advance(self, queries: int) -> None:
        self._done += queries
        self._progress(Step(phase="search", documents=self._done))


def _encoded(ranked: Iterable[tuple[str, float]]) -> Ranked:
    return [(column(document), score) for document, score in ranked]
