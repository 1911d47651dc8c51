"""A process that indexes by the scenario and tells each step, to be killed on the way.

Usage: driver.py FOLDER MODEL STAGE...; it starts at a line on standard input and stays until
standard input ends. It writes a line each: `step STAGE PHASE DOCUMENTS`; `acknowledged STAGE` after
each commit; `summary NAME JSON` with what the index holds and finds.
"""

import json
import sys
from collections.abc import Callable

import indexer.batching
import indexer.index
from indexer.creation import Settings
from indexer.documents import Document
from indexer.index import Index
from indexer.progress import Step
from tests.faults import scenario
from tests.faults.contents import summary


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Teller:
    """Progress that tells every step, and a batch's acknowledgement when its commit is over."""

    def __init__(self) -> None:
        self.stage = "A"
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


def _tell_summary(index: Index, name: str) -> None:
    tell("summary", name, json.dumps(summary(index)))


def main(folder: str, model: str, stages: list[str]) -> None:
    # Many small transactions, with the postings committed after each.
    indexer.batching._BATCH_DOCUMENTS = scenario.BATCH
    indexer.index._COMMIT_SECONDS = 0.0
    sys.stdin.readline()
    teller = Teller()
    teller.stage = stages[0]
    with Index.open(folder, Settings(model=model), threads=1, progress=teller) as index:
        for stage in stages:
            run(index, stage, teller)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
