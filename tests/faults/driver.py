"""A process that indexes by the scenario and tells each step, to be killed on the way.

Usage: driver.py FOLDER MODEL OTHER STAGE...; it starts at a line on standard input and stays until
standard input ends. Stages: A adds, B updates and syncs, C deletes and compacts, R reindexes with
the OTHER model, W0 and W1 add documents of their own. It writes a line each: `step STAGE PHASE
DOCUMENTS`; `acknowledged STAGE` after each commit; `summary NAME JSON` with what the index holds
and finds.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import indexer.batching
import indexer.index
from indexer.creation import Settings
from indexer.documents import Document
from indexer.index import Index
from indexer.progress import Step
from indexer.reindexing import Reindexing
from tests.faults import scenario
from tests.faults.contents import summary


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Teller:
    """Progress that tells every step, and a batch's acknowledgement when its commit is over."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._writing = False

    def __call__(self, step: Step) -> None:
        tell("step", self.stage, step.phase, step.documents)
        if step.phase == "store":
            if self._writing:
                tell("acknowledged", self.stage)
            self._writing = not self._writing


def run(index: Index, stage: str, teller: Teller) -> None:
    teller.stage = stage
    if stage == "C":
        index.delete(scenario.DELETED, progress=teller)
        tell("acknowledged", stage)
        _tell_summary(index, "deleted")
        index.compact(progress=teller)
    else:
        index.add(_DOCUMENTS[stage](), sync=stage == "B", progress=teller)
    tell("acknowledged", stage)
    _tell_summary(index, stage)


_DOCUMENTS: dict[str, Callable[[], list[Document]]] = {
    "A": scenario.first,
    "B": scenario.second,
    "W0": lambda: scenario.writer(0),
    "W1": lambda: scenario.writer(1),
}


def reindex(folder: str, other: str) -> None:
    Reindexing(folder, Settings(model=other), threads=1).run(Teller("R"))
    tell("acknowledged", "R")
    with Index.open(folder, threads=1) as index:
        _tell_summary(index, "R")


def _tell_summary(index: Index, name: str) -> None:
    tell("summary", name, json.dumps(summary(index)))


def main(folder: str, model: str, other: str, stages: list[str]) -> None:
    # Many small transactions, with the postings committed after each.
    indexer.batching._BATCH_DOCUMENTS = scenario.BATCH
    indexer.index._COMMIT_SECONDS = 0.0
    sys.stdin.readline()
    teller = Teller(stages[0])
    writing = [stage for stage in stages if stage != "R"]
    # An index that is there may have been reindexed; without settings it is taken as it is.
    settings = None if (Path(folder) / "manifest.json").exists() else Settings(model=model)
    if writing:
        with Index.open(folder, settings, threads=1, progress=teller) as index:
            for stage in writing:
                run(index, stage, teller)
    if "R" in stages:
        reindex(folder, other)
    sys.stdin.read()


if __name__ == "__main__":
    _, place, first_model, other_model, *names = sys.argv
    main(place, first_model, other_model, names)
