"""Indexing processes killed at 20 instants: what was acknowledged stays, and the next run goes on.

Run with `-s` to see where the kills fell; `python -m tests.faults.kills` runs any number of them.
"""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from indexer.encoder import Encoder
from indexer.index import Index
from indexer.models import find_model
from indexer.verification import damage
from tests.faults import scenario
from tests.faults.kills import Trials, table
from tests.faults.processes import ROOT
from tests.faults.reference import SHARES, Reference, run_reference

_KILLS = 20


@pytest.fixture(scope="module")
def reference(
    tiny_model: Path, other_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    return run_reference((tiny_model, other_model), tmp_path_factory.mktemp("reference"))


def test_the_uninterrupted_run_holds_what_was_given(reference: Reference, tiny_model: Path) -> None:
    encoder = Encoder(find_model(str(tiny_model)))
    states = scenario.states()
    places = {"A": scenario.acknowledged_before("B"), "B": -3, "C": -1}
    for name, state in ((name, states[place]) for name, place in places.items()):
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
    reference: Reference, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    fallen = Trials(reference, tmp_path, workers=3).run(_KILLS)
    assert len(fallen) >= _KILLS
    for phase in SHARES:
        its = [each.stage for each in fallen if each.phase == phase]
        record_property(f"kills in {phase}", len(its))
        assert its, phase
    assert any(each.beside for each in fallen) and any(each.commits > 1 for each in fallen)
    sys.stdout.write(f"\n{table(fallen)}")


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
