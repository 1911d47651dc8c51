"""Random bits flipped and files cut in an index: found, rebuilt or harmless, never a wrong answer.

`python -m tests.faults.flips --count 1000 --seed 1` prints what came of each; the tests run a few.
Every damage is done to a copy in a child process, so that a crash is seen and told.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import indexer.encoder
from indexer.creation import Settings
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.verification import verify
from search.index import Index
from tests.faults import scenario
from tests.faults.models import make_models
from tests.faults.processes import ROOT

OUTCOMES = (
    "refused", "rebuilt", "verify", "harmless", "wrong, told", "unclean", "WRONG", "CRASH",
)  # fmt: skip
# What must not come: an error that is no line for people, a wrong answer, a dead process.
BAD = ("unclean", "WRONG", "CRASH")
_BATCH = 50
# The vectors' index of half of the damages; the other half has too few to get one by itself.
_FAISS = "IVF8,SQ8"
# One damage takes well under a second; a child that hangs is a crash.
_SECONDS = 60
_QUERIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("fox river", {"mode": "lexical"}),
    ("the old stone house", {"mode": "dense"}),
    ("moon water wind fire", {"filter": "n >= 2 and n != 5"}),
    ("搜索 向量", {"mode": "dense", "filter": "half < 20"}),
    ("ship", {"mode": "lexical", "count": True}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One file spoilt: a bit of one byte flipped, or all from a byte on cut away."""

    file: str
    kind: str
    cut: bool
    offset: int
    bit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one damage."""

    number: int
    damage: Damage
    outcome: str
    note: str


def make_base(folder: Path, model: Path, faiss: str | None = None) -> None:
    """Make an index that has everything: dead rows, deletions, vectors, a log not folded in.

    With `faiss` it has vectors enough for an approximate index of that kind.
    """
    settings = Settings(model=str(model), faiss=faiss)
    with Index.open(folder.with_name("made"), settings, threads=1) as index:
        index.add(scenario.first()[: 300 if faiss else 100])
        if faiss and index.dense.notes.get("factory") != faiss:
            raise RuntimeError(f"the vectors have no index of kind {faiss}: {index.dense.notes}")
        index.delete(["d003", "d013"])
        # What reads keeps the log from being folded into the store.
        with Index.open(index.folder, threads=1) as reader, reader.reading():
            index.add(scenario.second()[95:105])
            shutil.copytree(index.folder, folder)


def kind_of(file: str) -> str:
    """Name a file by what it is for: the names of postings and vectors are random."""
    path = Path(file)
    known = path.name.startswith(("store.sqlite", "manifest", "lock", "meta", "."))
    return path.name if known else f"{path.parts[0]}/*{path.suffix}"


def damage_of(base: Path, seed: int, number: int) -> Damage:
    """Choose the damage of a number: each kind of file as often as any other."""
    chance = random.Random(f"{seed} {number}")
    sizes = {
        str(path.relative_to(base)): path.stat().st_size
        for path in base.rglob("*")
        if path.is_file()
    }
    # By size first: the names of postings and vectors differ from run to run.
    files = sorted((file for file in sizes if sizes[file]), key=lambda file: (sizes[file], file))
    kind = chance.choice(sorted({kind_of(file) for file in files}))
    file = chance.choice([file for file in files if kind_of(file) == kind])
    offset = chance.randrange(sizes[file])
    return Damage(
        file=file, kind=kind, cut=chance.random() < 0.25, offset=offset, bit=chance.randrange(8)
    )


def _spoil(folder: Path, damage: Damage) -> None:
    path = folder / damage.file
    content = bytearray(path.read_bytes())
    if damage.cut:
        del content[damage.offset :]
    else:
        content[damage.offset] ^= 1 << damage.bit
    path.write_bytes(content)


def answers(folder: Path) -> tuple[list[Any], list[str]]:
    """Return what searches of an index show, and its notices."""
    shown: list[Any] = []
    with Index.open(folder, threads=1) as index:
        for query, options in _QUERIES:
            shown.append(index.search(query, top=100, **options).as_json() | {"took_ms": 0})
        # The texts in the order that an export gives them.
        shown += [asdict(each) for _, each in index.store.all_live()]
        return shown, index.notices


def assess(folder: Path, right: Sequence[list[Any]]) -> tuple[str, str]:
    """Open, search and verify a damaged copy; return the outcome and what it is known by.

    `right`: the answers of the whole index; of one whose postings were derived anew, which no
    longer count deleted documents; and of one whose vectors were, which has no approximate index.
    """
    try:
        shown, notices = answers(folder)
    except (ClozeError, sqlite3.DatabaseError) as error:  # of which a command makes a line
        return "refused", str(error)
    except BaseException as error:
        return "unclean", f"{type(error).__name__}: {error}"
    note = "; ".join(notices)
    if shown not in right:
        found = verify(str(folder), threads=1)
        place = next(at for at, each in enumerate(right[0]) if shown[at : at + 1] != [each])
        what = f"answer {place}; verify: {found or 'clean'}"
        return ("wrong, told", note) if notices else ("WRONG", what)
    try:
        found = verify(str(folder), threads=1)
    except BaseException as error:
        return "unclean", f"verify: {type(error).__name__}: {error}"
    if notices:
        return ("unclean", f"rebuilt, but verify: {found}") if found else ("rebuilt", note)
    return ("verify", found[0]) if found else ("harmless", "")


def _child(base: Path, model: str, seed: int, first: int, last: int) -> None:
    """Assess the damages of some numbers; each is announced, so that a crash is told of it."""
    encoder = Encoder(find_model(model), threads=1)
    indexer.encoder.Encoder = lambda *_, **__: encoder  # type: ignore[assignment, misc]
    with tempfile.TemporaryDirectory(dir=base.parent) as home:
        whole = Path(home) / "whole"
        shutil.copytree(base, whole)
        right = [answers(whole)[0]]
        for derived in ("lexical", "dense"):
            shutil.rmtree(whole)
            shutil.copytree(base, whole)
            shutil.rmtree(whole / derived)
            right.append(answers(whole)[0])
        for number in range(first, last):
            _tell(number)
            signal.alarm(_SECONDS)
            copy = Path(home) / str(number)
            shutil.copytree(base, copy)
            _spoil(copy, damage_of(base, seed, number))
            _tell(assess(copy, right))
            signal.alarm(0)
            shutil.rmtree(copy)


def _tell(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def run(home: Path, model: Path, seed: int, count: int) -> Iterator[Result]:
    """Yield what comes of `count` damages, half of them to an index with approximate vectors."""
    shares = {None: range(count // 2), _FAISS: range(count // 2, count)}
    for faiss, numbers in shares.items():
        base = home / (faiss or "flat") / "base"
        base.parent.mkdir()
        make_base(base, model, faiss)
        for result in _run(base, model, seed, numbers):
            damage = result.damage
            if faiss and damage.kind.startswith("dense/"):
                damage = replace(damage, kind=f"{damage.kind} ({faiss})")
            yield replace(result, damage=damage)


def _run(base: Path, model: Path, seed: int, numbers: range) -> Iterator[Result]:
    """Yield what comes of the damages of some numbers, in children that may die."""
    number = numbers.start
    while number < numbers.stop:
        last = min(numbers.stop, number + _BATCH)
        command = [sys.executable, "-m", "tests.faults.flips", "--child"]
        process = subprocess.run(
            [*command, *map(str, (base, model, seed, number, last))],
            capture_output=True, text=True, check=False, cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        told = [json.loads(line) for line in process.stdout.splitlines()]
        for at, (outcome, note) in zip(told[::2], told[1::2], strict=False):
            damage = damage_of(base, seed, at)
            yield Result(number=at, damage=damage, outcome=outcome, note=note)
            number = at + 1
        if len(told) % 2:
            note = f"exit {process.returncode}: {process.stderr[-300:]}"
            damage = damage_of(base, seed, number)
            yield Result(number=number, damage=damage, outcome="CRASH", note=note)
            number += 1
        elif process.returncode:
            raise RuntimeError(process.stderr)


def table(results: Sequence[Result]) -> str:
    """Return the outcomes by kind of file as a table of Markdown."""
    count = Counter((each.damage.kind, each.outcome) for each in results)
    lines = [f"| file | damages | {' | '.join(OUTCOMES)} |", "|" + "---|" * (len(OUTCOMES) + 2)]
    for kind in sorted({each.damage.kind for each in results}):
        cells = [str(count[kind, outcome]) for outcome in OUTCOMES]
        total = sum(each.damage.kind == kind for each in results)
        lines.append(f"| `{kind}` | {total} | {' | '.join(cells)} |")
    sums = [str(sum(each.outcome == outcome for each in results)) for outcome in OUTCOMES]
    lines.append(f"| all | {len(results)} | {' | '.join(sums)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the damages that the command line asks for, or a child's share."""
    if sys.argv[1:2] == ["--child"]:
        base, name, *numbers = sys.argv[2:]
        _child(Path(base), name, *map(int, numbers))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloze-flips-") as place:
        home = Path(place)
        os.environ.setdefault("CLOZE_HOME", str(home / "home"))
        model, _ = make_models(home)
        begin = time.monotonic()
        results = []
        for result in run(home, model, options.seed, options.count):
            results.append(result)
            if result.outcome in BAD:
                sys.stdout.write(
                    f"{result.outcome} {result.number}: {result.damage} {result.note}\n"
                )
                sys.stdout.flush()
    took = time.monotonic() - begin
    sys.stdout.write(f"\n{len(results)} damages in {took:.0f} s\n\n{table(results)}")
    if any(result.outcome in BAD for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
