"""Indexing processes killed at chosen instants: what was acknowledged stays, the next run goes on.

`python -m tests.faults.kills --kills 200` prints where the kills fell and what the readers saw; the
tests run a few of the same trials.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from indexer.index import Index
from indexer.verification import damage
from tests.faults import scenario
from tests.faults.contents import assert_same, passages, stored
from tests.faults.models import make_models
from tests.faults.processes import Driver, Reader
from tests.faults.reference import (
    SHARES,
    STAGES,
    Event,
    Reference,
    Summary,
    plan,
    read_summaries,
    run_reference,
)

# Stages beside which a second writer can add: the sync of B would delete what it adds.
_BESIDE = ("A", "C", "R")
# Fewer kills than this, and a phase is aimed at again.
_LEAST = 2
# How often a long run tells how far it is, in kills.
_TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """Where a kill fell, whether a second writer was at work, and how many commits were seen."""

    stage: str
    phase: str
    beside: bool
    commits: int


class Trials:
    """The trials of one run: their folders, and the readers that look on."""

    def __init__(self, reference: Reference, home: Path, workers: int) -> None:
        self._reference = reference
        self._home = home
        self._workers = workers
        self._readers: SimpleQueue[Reader] = SimpleQueue()
        self._count = 0
        self._fallen: list[Fallen] = []

    def run(self, kills: int) -> list[Fallen]:
        """Run so many trials, and more for a phase that was hit too seldom."""
        chosen = plan(self._reference.events, kills)
        with self._open_readers(), ThreadPoolExecutor(self._workers) as pool:
            fallen = list(pool.map(lambda each: self._one(*each), chosen))
            for event, _ in chosen:  # where the machine was too slow to hit a phase, without delay
                if sum(each.phase == event.phase for each in fallen) < _LEAST:
                    fallen.append(self._one(event, 0.0))
        return fallen

    @contextmanager
    def _open_readers(self) -> Iterator[None]:
        readers = [Reader() for _ in range(self._workers)]
        for reader in readers:
            self._readers.put(reader)
        try:
            yield
        finally:
            for reader in readers:
                reader.close()

    def _one(self, event: Event, delay: float) -> Fallen:
        self._count += 1
        number = self._count
        reader = self._readers.get()
        place = self._home / f"{number:03d}"
        try:
            trial = _Trial(place, self._reference, reader, event, delay)
            fallen = trial.run(beside=number % 2 == 0)
        except BaseException as error:
            # Whole on disk, so that it can be looked into.
            error.add_note(f"trial {number}, {event}, delay {delay:.4f}, in {place}")
            raise
        finally:
            self._readers.put(reader)
        shutil.rmtree(place)
        self._fallen.append(fallen)
        if len(self._fallen) % _TOLD == 0:
            sys.stderr.write(f"{len(self._fallen)} so far\n{table(self._fallen)}")
        return fallen


class _Trial:
    """One kill, the check of what it left, and the run after it, while a reader looks on."""

    def __init__(
        self, place: Path, reference: Reference, reader: Reader, event: Event, delay: float
    ) -> None:
        self.folder = place / "index"
        self.reference = reference
        self.reader = reader
        self.event = event
        self.delay = delay
        place.mkdir()

    def run(self, *, beside: bool) -> Fallen:
        if start := self.reference.starts.get(self.event.stage):
            shutil.copytree(start, self.folder)
        self.reader.watch(self.folder)
        killed = "W0" if self.event.stage == "W" else self.event.stage
        other = self._driver("W1") if killed == "W0" or (beside and killed in _BESIDE) else None
        if other:
            other.start()
        lines = self._kill(self._driver(killed))
        written = _acknowledged(self._end(other)) if other else 0
        phase = [line.split() for line in lines if line.startswith("step ")][-1][2]
        if (self.folder / "manifest.json").exists():
            self._check(_acknowledged(lines), written)
        else:
            assert phase == "create" and not other
        self._go_on(killed, other is not None)
        return Fallen(
            stage=self.event.stage,
            phase=phase,
            beside=other is not None,
            commits=self.reader.stop(),
        )

    def _driver(self, *stages: str) -> Driver:
        return Driver(self.folder, self.reference.models, *stages)

    def _kill(self, driver: Driver) -> list[str]:
        lines = []
        steps = 0
        for line in driver.go():
            lines.append(line)
            steps += line.startswith("step ")
            if steps > self.event.place:
                break
        return lines + driver.kill(self.delay)

    def _end(self, other: Driver) -> list[str]:
        """Let the second writer finish, or be told that the index was reindexed under it."""
        lines, errors = other.end()
        told = self.event.stage == "R" and "reindexed by another process" in errors
        assert told or not errors, errors
        return lines

    def _check(self, acknowledged: int, written: int) -> None:
        """Open a copy, so that the next run meets what the kill left."""
        copy = self.folder.with_name("copy")
        shutil.copytree(self.folder, copy)
        with Index.open(copy, threads=1) as index:
            documents = stored(index)
            self._check_documents(documents, acknowledged, written)
            known = self.reference.vectors(index)
            for id, rows in passages(index).items():
                document = documents[id]
                if self.event.stage != "R" or not scenario.is_writers(id):
                    assert [list(row) for row in rows] == known[id, document.title, document.text]
            assert damage(index) == []

    def _check_documents(self, documents: scenario.State, acknowledged: int, written: int) -> None:
        """What was under way may have been committed and not told; never a part of it."""
        main = {id: each for id, each in documents.items() if not scenario.is_writers(id)}
        if self.event.stage == "W":
            assert not main
            whole = sum(scenario.whole_batches({*documents}, 0))
            # The last acknowledgement is of no batch.
            assert min(acknowledged, len(scenario.batches(scenario.writer(0)))) <= whole
            assert whole <= acknowledged + 1
        else:
            first = scenario.acknowledged_before(self.event.stage)
            first += acknowledged if self.event.stage != "R" else 0
            assert main in scenario.states()[first : first + 2]
        others = scenario.whole_batches({*documents} - {*main}, 1)
        assert others[:written] == [True] * min(written, len(others))

    def _go_on(self, killed: str, others: bool) -> None:
        """Start the same run again, and the next one, and compare what they leave."""
        following = {"A": ("A", "B"), "B": ("B", "C")}.get(killed, (killed,))
        found = read_summaries(self._driver(*following).finish())
        assert {*following} <= found.keys()
        for name, each in found.items():
            expected = self.reference.summaries["W1" if killed == "W0" else name]
            if killed != "W0":
                each = _without_writers(each)
            # Dead documents and those of others count in BM25's statistics.
            exact = name != "deleted" and (not others or name in ("B", "W0"))
            assert_same(each, expected, scores=exact)


def _acknowledged(lines: Sequence[str]) -> int:
    return sum(line.startswith("acknowledged") for line in lines)


def _without_writers(found: Summary) -> Summary:
    """Leave out the documents of the second writer."""

    def kept(by_id: dict[str, Any]) -> dict[str, Any]:
        return {id: each for id, each in by_id.items() if not scenario.is_writers(id)}

    return {
        part: {query: kept(each) for query, each in value.items()}
        if part in ("lexical", "dense")
        else kept(value)
        for part, value in found.items()
    }


def table(fallen: Sequence[Fallen]) -> str:
    """Return the kills by phase and stage as a table of Markdown."""
    count = Counter((each.phase, each.stage) for each in fallen)
    lines = [
        f"| phase | kills | {' | '.join(STAGES)} | beside a second writer |",
        "|" + "---|" * (len(STAGES) + 3),
    ]
    for phase in SHARES:
        those = [each for each in fallen if each.phase == phase]
        cells = [str(count[phase, stage]) for stage in STAGES]
        beside = sum(each.beside for each in those)
        lines.append(f"| {phase} | {len(those)} | {' | '.join(cells)} | {beside} |")
    commits = sum(each.commits for each in fallen)
    lines.append(f"\nThe readers saw {commits:,} different commits, each whole.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the trials that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="cloze-kills-"))
    os.environ.setdefault("CLOZE_HOME", str(home / "home"))
    begin = time.monotonic()
    reference = run_reference(make_models(home), home)
    fallen = Trials(reference, home, options.workers).run(options.kills)
    shutil.rmtree(home)
    took = time.monotonic() - begin
    sys.stdout.write(f"{len(fallen)} kills, nothing lost, in {took:.0f} s\n\n{table(fallen)}")


if __name__ == "__main__":
    main()
