"""What every system takes: each whole, in a process of its own, one query at a time, in turns."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.bench.figures import spread
from eval.results import Cost
from eval.systems import System
from indexer.errors import ClozeError
from indexer.index import Index
from indexer.progress import Progress, Step
from indexer.threads import budget

WARM_UP = 10
MOST_QUERIES = 300
# Between two answers, so that a thread pool that spins for a moment after its work is at rest.
_PAUSE_SECONDS = 0.005


class _Process:
    """One system's process."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.name = description["system"]["name"]
        self._process = subprocess.Popen(
            # -P: a folder of the user's named search or eval must not stand before ours.
            [sys.executable, "-P", "-m", "eval.timed"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=_environment(),
        )  # fmt: skip
        self._send(description)
        self._receive()

    def answer(self, query: str) -> dict[str, float]:
        """Answer one query; return milliseconds by stage."""
        self._send(query)
        took: dict[str, float] = self._receive()
        return took

    def end(self) -> int | None:
        """End the process and return its peak memory."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        peak: int | None = self._receive()["peak_bytes"]
        return peak

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        with self._process:  # closes its pipes and waits
            pass

    def _send(self, value: object) -> None:
        if self._process.stdin is None:
            raise AssertionError("the process has no standard input")
        try:
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and said why

    def _receive(self) -> Any:  # noqa: ANN401 - a line of JSON
        if self._process.stdout is None:
            raise AssertionError("the process has no standard output")
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "it ended without a word"}
        if "error" in answer:
            raise ClozeError(
                f"timing {self.name} failed: {answer['error']}; mend that, or leave the timing out "
                "with --no-timing"
            )
        return answer


def _environment() -> dict[str, str]:
    """Return the environment of the processes, which must find the packages that we are."""
    import os

    here = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}


@contextmanager
def _running(description: dict[str, Any]) -> Iterator[_Process]:
    process = _Process(description)
    try:
        yield process
    finally:
        process.kill()


class Timing:
    """Times systems that have a name, on at most 300 of the queries.

    Every system is warmed up on 10 queries that are not timed, then each query is answered by all
    of them in turn, so that what else the machine does falls on all alike.
    """

    def __init__(
        self, systems: Sequence[System], queries: Mapping[str, str], index: Index | None
    ) -> None:
        """Prepare to time systems; `index` may be None where none needs it."""
        self.systems = systems
        self.index = index
        texts = [text for text in queries.values() if text.strip()]
        self._asked = sample(texts)
        self._warm_up = others(texts, self._asked)
        self._done = 0

    def position(self) -> float | None:
        """Return the share of the queries that have been answered."""
        return self._done / max(1, len(self._warm_up) + len(self._asked))

    def costs(self, progress: Progress) -> dict[str, Cost]:
        """Return what each system takes, by its name; nothing where no query has a text.

        Raises:
            ClozeError: a system's process failed.
        """
        if not self._asked or not self.systems:
            return {}
        took: dict[str, list[dict[str, float]]] = {system.name: [] for system in self.systems}
        with ExitStack() as stack:
            processes = [
                stack.enter_context(_running(self._describe(system))) for system in self.systems
            ]
            for query in [*self._warm_up, *self._asked]:
                for process in _in_turn(processes, self._done):
                    time.sleep(_PAUSE_SECONDS)
                    took[process.name].append(process.answer(query))
                self._done += 1
                progress(Step(phase="time", documents=self._done))
            peaks = {process.name: process.end() for process in processes}
        return {
            system.name: _cost(
                took[system.name][len(self._warm_up) :],
                index_bytes(system, self.index),
                peaks[system.name],
            )
            for system in self.systems
        }

    def _describe(self, system: System) -> dict[str, Any]:
        where = {"index": "", "device": "cpu", "threads": budget()}
        if self.index is not None:
            where = {
                "index": str(self.index.folder),
                "device": self.index.device,
                "threads": self.index.threads,
            }
        return {"system": asdict(system), **where}


def _in_turn(processes: list[_Process], place: int) -> list[_Process]:
    first = place % len(processes)
    return processes[first:] + processes[:first]


def sample(queries: Sequence[str]) -> list[str]:
    """Return the queries that are timed: all, or 300 drawn by a fixed seed."""
    if len(queries) <= MOST_QUERIES:
        return list(queries)
    return random.Random(0).sample(list(queries), MOST_QUERIES)


def others(queries: Sequence[str], asked: Sequence[str]) -> list[str]:
    """Return 10 queries that are not asked: of those left over, else asked ones turned around.

    An answer that a system has kept must not be what is timed.
    """
    known = set(asked)
    left = [query for query in queries if query not in known]
    turned = (" ".join(reversed(query.split())) for query in asked)
    return [*left, *(query for query in turned if query not in known)][:WARM_UP]


def _cost(took: Sequence[Mapping[str, float]], size: int | None, peak: int | None) -> Cost:
    totals = [each["total"] for each in took]
    stages = {name for each in took for name in each if name != "total"}
    return Cost(
        queries=len(took),
        queries_per_second=round(1000 * len(totals) / sum(totals), 1),
        latency_ms=spread([total / 1000 for total in totals]),
        stages_ms={
            stage: spread([each.get(stage, 0.0) / 1000 for each in took])
            for stage in sorted(stages)
        },
        index_bytes=size,
        peak_bytes=peak,
    )


def index_bytes(system: System, index: Index | None) -> int | None:
    """Return the bytes on disk of the structures that a mode of the index searches.

    The store of documents, which all of them share, is not counted; a baseline has nothing on
    disk of its own.
    """
    if index is None or system.kind != "mode":
        return None
    wanted = {"lexical": ("lexical",), "dense": ("dense",)}.get(
        system.options["mode"], ("lexical", "dense")
    )
    files = (path for name in wanted for path in (index.data / name).rglob("*"))
    return sum(path.stat().st_size for path in files if path.is_file())
