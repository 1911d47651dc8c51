"""The run that is never interrupted: what trials are held against, and where they are killed."""

import json
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.index import Index
from tests.faults.processes import Driver

# A, B, C and R go on from each other; in W two writers make an index at once, and one is killed.
STAGES = ("A", "B", "C", "R", "W")
# How the kills are shared among the phases; a short one is over before some of them fall.
SHARES = {"create": 2, "encode": 3, "store": 3, "lexical": 4, "dense": 4, "seal": 4}

Models = tuple[Path, Path]
Summary = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A step of the uninterrupted run, and how many seconds it took."""

    place: int
    stage: str
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The uninterrupted run: its steps, what each stage left, and the folder it started from."""

    models: Models
    events: list[Event]
    summaries: dict[str, Summary]
    starts: dict[str, Path]

    def vectors(self, index: Index) -> dict[tuple[str, str, str], Any]:
        """Return the right passages of every (id, title, text), by the model of an index."""
        sealed = index.manifest.encoder
        assert sealed is not None
        names = ("R",) if sealed.name == str(self.models[1]) else ("A", "B", "C", "W0", "W1")
        return {
            (id, *map(str, self.summaries[name]["documents"][id][:2])): rows
            for name in names
            for id, rows in self.summaries[name]["passages"].items()
        }


def run_reference(models: Models, home: Path) -> Reference:
    """Run every stage uninterrupted, and keep what each starts from and leaves."""
    folder = home / "reference"
    events: list[Event] = []
    summaries: dict[str, Summary] = {}
    starts: dict[str, Path] = {}
    for stage in ("A", "B", "C", "R"):
        if folder.exists():
            starts[stage] = home / f"before-{stage}"
            shutil.copytree(folder, starts[stage])
        _note(Driver(folder, models, stage), events, summaries)
    for stage in ("W0", "W1"):
        _note(Driver(home / "writers", models, stage), events, summaries)
    return Reference(models=models, events=events, summaries=summaries, starts=starts)


def _note(driver: Driver, events: list[Event], summaries: dict[str, Summary]) -> None:
    lines, times = [], []
    for line in driver.go():
        lines.append(line)
        times.append(time.monotonic())
        if line.startswith("summary ") and not line.startswith("summary deleted"):
            break
    driver.finish()
    summaries |= read_summaries(lines)
    steps = [at for at, line in enumerate(lines) if line.startswith("step ")]
    for place, at in enumerate(steps):
        stage, phase = lines[at].split()[1:3]
        if stage != "W1":
            seconds = times[at + 1] - times[at]
            events.append(Event(place=place, stage=stage[0], phase=phase, seconds=seconds))


def read_summaries(lines: Sequence[str]) -> dict[str, Summary]:
    """Read the summaries among a driver's lines."""
    found = (line.split(" ", 2) for line in lines if line.startswith("summary "))
    return {name: json.loads(value) for _, name, value in found}


def plan(events: Sequence[Event], kills: int) -> list[tuple[Event, float]]:
    """Choose the steps to kill at, spread over phases and stages, and how long after each."""
    chance = random.Random(kills)
    chosen: list[tuple[Event, float]] = []
    for phase, share in SHARES.items():
        by_stage = {
            stage: those
            for stage in STAGES
            if (those := [e for e in events if (e.stage, e.phase) == (stage, phase)])
        }
        wanted = round(kills * share / sum(SHARES.values()))
        # Begin elsewhere for each phase, so that a few kills reach every stage.
        turn = list(by_stage) * wanted
        start = len(chosen) % len(by_stage)
        for stage in turn[start : start + wanted]:
            event = chance.choice(by_stage[stage])
            chosen.append((event, chance.random() * event.seconds))
    chance.shuffle(chosen)  # so that a run that is broken off has reached all of them
    return chosen
