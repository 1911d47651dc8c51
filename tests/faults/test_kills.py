"""Indexing processes killed at 20 instants: what was acknowledged stays, and the next run goes on.

Run with `-s` to see where the kills fell.
"""

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.encoder import Encoder
from indexer.index import Index
from indexer.models import find_model
from indexer.verification import damage
from tests.faults import scenario
from tests.faults.contents import assert_same, passages, stored
from tests.faults.processes import ROOT, Driver

_STAGES = ("A", "B", "C")
_A_COMMITS = len(scenario.batches(scenario.first()))
# How many of the 20 kills are aimed at each phase; a short one is over before some of them fall.
_KILLS = {"create": 2, "encode": 3, "store": 3, "lexical": 4, "dense": 4, "seal": 4}
_LEAST = 2

Summaries = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A step of the uninterrupted run, and how many seconds it took."""

    place: int
    stage: str
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The uninterrupted run: its steps, and what it held and found after each stage."""

    events: list[Event]
    summaries: Summaries


def _summaries(lines: list[str]) -> Summaries:
    found = (line.split(" ", 2) for line in lines if line.startswith("summary "))
    return {name: json.loads(value) for _, name, value in found}


@pytest.fixture(scope="module")
def reference(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    driver = Driver(tmp_path_factory.mktemp("reference") / "index", tiny_model, *_STAGES)
    lines, times = [], []
    for line in driver.go():
        lines.append(line)
        times.append(time.monotonic())
        if line.startswith("summary C"):
            break
    driver.finish()
    steps = [at for at, line in enumerate(lines) if line.startswith("step ")]
    events = [
        Event(
            place=place,
            stage=lines[at].split()[1],
            phase=lines[at].split()[2],
            seconds=times[at + 1] - times[at],
        )
        for place, at in enumerate(steps)
    ]
    return Reference(events=events, summaries=_summaries(lines))


def _plan(events: list[Event]) -> list[tuple[Event, float]]:
    """Choose the steps to kill at, spread over each phase's steps, and how long after each."""
    chance = random.Random(20)
    plan = []
    for phase, kills in _KILLS.items():
        those = [event for event in events if event.phase == phase]
        for kill in range(kills):
            event = those[kill * (len(those) - 1) // (kills - 1)]
            plan.append((event, chance.random() * event.seconds))
    return plan


def test_the_uninterrupted_run_holds_what_was_given(reference: Reference, tiny_model: Path) -> None:
    encoder = Encoder(find_model(str(tiny_model)))
    states = scenario.states()
    for name, state in (("A", states[_A_COMMITS]), ("B", states[-3]), ("C", states[-1])):
        found = reference.summaries[name]
        assert found["documents"] == {
            id: [each.title, each.text, each.metadata] for id, each in state.items()
        }
        for id, document in state.items():
            rows = found["passages"][id]
            texts = [
                f"{document.title} {document.text[start:end]}".strip() for start, end, _ in rows
            ]
            assert bool(rows) == bool(document.title or document.text)
            vectors = encoder.encode_documents(texts).astype(np.float16)
            assert [row.tobytes().hex() for row in vectors] == [vector for _, _, vector in rows]


def test_nothing_acknowledged_is_lost_wherever_the_process_is_killed(
    reference: Reference,
    tiny_model: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    plan = _plan(reference.events)
    trials = [
        _Trial(tmp_path / f"{place:02d}", tiny_model, reference, *each)
        for place, each in enumerate(plan)
    ]
    with ThreadPoolExecutor(max_workers=2) as pool:
        fallen = list(pool.map(lambda trial: trial.run(), trials))
    assert len(fallen) == sum(_KILLS.values()) == 20
    for event, _ in plan:  # where the machine was too slow to hit a phase, without delay
        if len([phase for _, phase in fallen if phase == event.phase]) < _LEAST:
            place = tmp_path / f"{len(fallen):02d}"
            fallen.append(_Trial(place, tiny_model, reference, event, 0.0).run())
    table = Counter(fallen)
    phases = Counter(phase for _, phase in fallen)
    for phase in _KILLS:
        line = ", ".join(f"{table[stage, phase]} in {stage}" for stage in _STAGES)
        record_property(f"kills in {phase}", phases[phase])
        sys.stdout.write(f"\n{phase:>8}: {phases[phase]} kills ({line})")
    sys.stdout.write("\n")
    assert all(phases[phase] for phase in _KILLS), phases


def test_ctrl_c_is_one_line_and_the_same_command_continues(
    cloze: Callable[..., "subprocess.CompletedProcess[str]"], tiny_model: Path, tmp_path: Path
) -> None:
    corpus, folder = tmp_path / "corpus.jsonl", tmp_path / "index"
    lines = [json.dumps({"_id": str(n), "text": f"fox {n} by the river"}) for n in range(5000)]
    corpus.write_text("\n".join(lines))
    command = ("index", folder, corpus, "--model", tiny_model, "--json")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "cloze.py"), *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (acknowledged := _count(folder / "store.sqlite")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert (process.returncode, output) == (130, "")
    assert errors.startswith("cloze: stopped; ") and errors.count("\n") == 1
    report = json.loads(cloze(*command).stdout)
    assert 0 < acknowledged <= report["unchanged"] < len(lines)
    assert report["unchanged"] + report["added"] == len(lines)
    with Index.open(folder) as index:
        assert index.lexical.count == len(lines)
        assert damage(index) == []


def _count(store: Path) -> int:
    """Count the documents of a store that another process may be about to make."""
    if not store.exists():
        return 0
    with closing(sqlite3.connect(store)) as database, suppress(sqlite3.OperationalError):
        return int(database.execute("SELECT count(*) FROM documents").fetchone()[0])
    return 0


class _Trial:
    """One kill, the check of what it left, and the run after it."""

    def __init__(
        self, place: Path, model: Path, reference: Reference, event: Event, delay: float
    ) -> None:
        self.folder = place / "index"
        self.model = model
        self.reference = reference
        self.event = event
        self.delay = delay

    def run(self) -> tuple[str, str]:
        """Return the stage and phase in which the kill fell."""
        self.folder.parent.mkdir()
        lines = self._kill()
        steps = [line.split() for line in lines if line.startswith("step ")]
        stage, phase = steps[-1][1:3]
        if (self.folder / "manifest.json").exists():
            self._check(sum(line.startswith("acknowledged") for line in lines))
        else:
            assert phase == "create"
        rest = _STAGES[_STAGES.index(stage) :]
        found = _summaries(Driver(self.folder, self.model, *rest).finish())
        assert found.keys() == {*rest, "deleted"}
        for name, each in found.items():
            # Dead documents may count in BM25's statistics until something compacts.
            assert_same(each, self.reference.summaries[name], scores=name != "deleted")
        return stage, phase

    def _kill(self) -> list[str]:
        driver = Driver(self.folder, self.model, *_STAGES)
        lines = []
        steps = 0
        for line in driver.go():
            lines.append(line)
            steps += line.startswith("step ")
            if steps > self.event.place:
                break
        return lines + driver.kill(self.delay)

    def _check(self, acknowledged: int) -> None:
        """Open a copy, so that the next run meets what the kill left."""
        copy = self.folder.with_name("copy")
        shutil.copytree(self.folder, copy)
        states = scenario.states()
        with Index.open(copy) as index:
            documents = stored(index)
            # What was under way may have been committed and not told any more; never a part of it.
            assert documents in states[acknowledged : acknowledged + 2]
            known = {
                (id, *map(str, each["documents"][id][:2])): each["passages"][id]
                for each in self.reference.summaries.values()
                for id in each["documents"]
            }
            for id, rows in passages(index).items():
                document = documents[id]
                assert [list(row) for row in rows] == known[id, document.title, document.text]
            assert damage(index) == []
