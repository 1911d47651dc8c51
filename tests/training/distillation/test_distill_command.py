"""`cloze train distill` from a teacher and texts to a folder that others load."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from indexer.encoder import Encoder
from indexer.models import find_model
from tests.training.pretrain_commands import Run, contents

TEXTS = ["the river froze", "an old machine was found near the town and taken apart"]


def options(teacher: Path, corpus: Path, out: Path, **changed: object) -> list[str]:
    given: dict[str, object] = {
        "texts": corpus, "out": out, "layers": 1, "length": 32, "steps": 12, "batch": 8,
        "precision": "fp32",
    }  # fmt: skip
    words = [str(teacher)]
    for name, value in (given | changed).items():
        words += [f"--{name}", str(value)]
    return words


@pytest.fixture
def student(run: Run, sentence_folder: Path, corpus_file: Path, tmp_path: Path) -> tuple[Path, Any]:
    out = tmp_path / "student"
    done = run("train", "distill", *options(sentence_folder, corpus_file, out), "--json")
    assert done.code == 0, done.err
    return out, json.loads(done.out)


def test_a_student_learns_and_loads_everywhere(student: tuple[Path, Any]) -> None:
    out, told = student
    assert told["steps"] == 12
    assert (told["teacher"]["layers"], told["student"]["layers"]) == (2, 1)
    assert told["student"]["parameters"] < told["teacher"]["parameters"]
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    judged = [event["agreement"] for event in log if event["kind"] == "held_out"]
    assert told["held_out"]["agreement"] == pytest.approx(max(judged), abs=1e-4)
    assert max(judged) > judged[0], "it comes nearer to its teacher"
    expected = SentenceTransformer(str(out), device="cpu").encode(TEXTS)
    found = Encoder(find_model(str(out)), precision="fp32").encode_documents(TEXTS)
    assert np.abs(expected - found).max() < 1e-4
    card = (out / "README.md").read_text()
    assert "A sentence encoder of 1 layers, distilled with cloze from the 2" in card
    assert "| student | 1 |" in card


def test_the_same_command_says_that_it_is_finished(
    student: tuple[Path, Any], run: Run, sentence_folder: Path, corpus_file: Path
) -> None:
    out, _ = student
    before = contents(out)
    again = run("train", "distill", *options(sentence_folder, corpus_file, out))
    assert again.code == 0
    assert "is finished: nothing was done." in again.out
    other = run("train", "distill", *options(sentence_folder, corpus_file, out, batch=4))
    assert other.code == 2
    assert "was begun with --batch 8, and now 4" in other.err
    assert contents(out) == before


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"layers": 2}, "--layers is 2 and the teacher has 2; give 1 to 1"),
        ({"length": 600}, "--length is 600 and"),
        ({"batch": 100_000}, "give more text or fewer"),
        ({"lr": 3}, "--lr is 3;"),
    ],
)
def test_what_cannot_be_is_refused(
    run: Run, sentence_folder: Path, corpus_file: Path, tmp_path: Path, changed: dict[str, object],
    line: str,
) -> None:  # fmt: skip
    out = tmp_path / "student"
    done = run("train", "distill", *options(sentence_folder, corpus_file, out, **changed))
    assert done.code == 2
    assert line in done.err
    assert not out.exists()
