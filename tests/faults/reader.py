"""A process that reads an index while others write and die: it must see one whole commit each time.

Usage: reader.py; a line on standard input names a folder to look at, an empty line ends that and is
answered by `saw COMMITS LOOKS`. What is wrong ends the process with a traceback.
"""

import select
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.index import Index
from indexer.records import PASSAGE_BITS
from tests.faults import scenario
from tests.faults.scenario import State

_DEPTH = 1000
_PAUSE = 0.1


class Onlooker:
    """What one reader of one folder has seen, and may see next."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.commits: set[frozenset[str]] = set()
        self.looks = 0
        self._states = scenario.states()
        self._place = 0

    def look(self) -> None:
        """Read the newest commit and hold all of it against the scenario and itself."""
        self.looks += 1
        with self.index.reading():
            numbers = self.index.store.numbers(self.index.sequence)
            documents = self.index.store.documents(numbers.tolist())
            assert len(documents) == len(numbers)
            found = {document.id: document for document in documents.values()}
            assert len(found) == len(numbers), "an id is visible twice"
            assert self.index.lexical.numbers().tolist() == numbers.tolist()
            self._check_vectors(numbers)
        self._check_documents(found)
        self.commits.add(frozenset(f"{id} {hash(each.text)}" for id, each in found.items()))

    def _check_vectors(self, numbers: NDArray[np.int64]) -> None:
        """Compare a search with all vectors of the store, multiplied by numpy."""
        visible = set(numbers.tolist())
        query = np.random.default_rng(self.looks).standard_normal(64).astype(np.float32)
        query /= np.linalg.norm(query)
        expected: dict[int, float] = {}
        for passage, blob in self.index.store.vectors(-1):
            owner = passage >> PASSAGE_BITS
            if owner in visible:
                score = float(np.frombuffer(blob, np.float16).astype(np.float32) @ query)
                expected[owner] = max(score, expected.get(owner, -np.inf))
        near = self.index.dense.search(query, _DEPTH)
        found = dict(zip(near.numbers.tolist(), near.scores.tolist(), strict=True))
        assert found.keys() == expected.keys()
        for number, score in expected.items():
            assert abs(found[number] - score) < 1e-4 * max(1.0, abs(score))

    def _check_documents(self, found: State) -> None:
        """Check that they are a state of the scenario, never an earlier one than before."""
        main = {id: each for id, each in found.items() if not scenario.is_writers(id)}
        for number in (0, 1):
            scenario.whole_batches(found.keys() - main.keys(), number)
        places = range(self._place, len(self._states))
        self._place = next((p for p in places if self._states[p] == main), -1)
        assert self._place >= 0, f"{len(main)} documents are half a commit, or an old one"


# Without a buffer, so that `select` tells of every line that has come.
_ORDERS = open(0, "rb", buffering=0, closefd=False)


def _told() -> bool:
    return bool(select.select([_ORDERS], [], [], 0)[0])


def watch(folder: Path) -> tuple[int, int]:
    """Look on until a line comes; return how many commits were seen, in how many looks."""
    while not (folder / "manifest.json").exists():
        if _told():
            return 0, 0
        time.sleep(0.002)
    with Index.open(folder, threads=1) as index:
        onlooker = Onlooker(index)
        while not _told():
            onlooker.look()
            time.sleep(_PAUSE)
        onlooker.look()
        return len(onlooker.commits), onlooker.looks


def main() -> None:
    while folder := _ORDERS.readline().decode().strip():
        commits, looks = watch(Path(folder))
        _ORDERS.readline()
        sys.stdout.write(f"saw {commits} {looks}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
