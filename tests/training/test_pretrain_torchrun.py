"""Two processes under torchrun learn what one does."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.loop.parts import Part
from training.loop.schedule import Budget
from training.plan import Plan
from training.pretrain import pretrain

ROOT = Path(__file__).resolve().parents[2]
STEPS = 12


def silent(*told: object) -> None:
    pass


def alone(text: Path, base: Path, out: Path) -> None:
    """Train in this process."""
    plan = Plan(
        texts=(str(text),), tokenizer=None, arch=str(base), objective="mlm+nsp",
        budget=Budget(unit="steps", amount=STEPS), widths=(16, 64), batch_tokens=128, rate=1e-3,
        precision="fp32",
    )  # fmt: skip
    pretrain(
        plan, out, Part(), tell=silent, reading=nullcontext(silent), training=nullcontext(silent)
    )


def together(text: Path, base: Path, out: Path) -> "subprocess.CompletedProcess[str]":
    """Train by the command in two processes."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = {
        "--arch": base, "--out": out, "--objective": "mlm+nsp", "--length": "16,64",
        "--steps": STEPS, "--batch-tokens": 128, "--lr": 1e-3, "--precision": "fp32",
    }  # fmt: skip
    given = [str(part) for option in options.items() for part in option]
    command = [sys.executable, *torchrun, str(ROOT / "cloze.py"), "pretrain", str(text), "--json"]
    return subprocess.run(
        [*command, *given],
        env=os.environ | {"CLOZE_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def losses(folder: Path, kind: str) -> dict[int, float]:
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {event["step"]: event["loss"] for event in events if event["kind"] == kind}


@pytest.mark.slow
def test_two_processes_are_one(corpus_file: Path, base_folder: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    alone(corpus_file, base_folder, one)
    done = together(corpus_file, base_folder, two)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # the first process alone speaks
    assert told["steps"] == STEPS
    expected = losses(one, "train")
    assert losses(two, "train") == pytest.approx(expected, abs=1e-4)
    assert STEPS in expected
    # The clock decides which evaluations are left out, never the last.
    expected, held_out = losses(one, "held_out"), losses(two, "held_out")
    for step in {STEPS, *(expected.keys() & held_out.keys())}:
        assert held_out[step] == pytest.approx(expected[step], abs=1e-4)
    found, wanted = (load_file(folder / "model.safetensors") for folder in (two, one))
    before = load_file(base_folder / "model.safetensors")
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        torch.testing.assert_close(found[name], weight, atol=1e-4, rtol=0, msg=name)
        # A key's bias adds the same to all scores of a query.
        moved = not torch.allclose(weight, before[name], atol=1e-3, rtol=0)
        assert moved or name.endswith("key.bias"), name


@pytest.mark.slow
def test_where_the_first_is_refused_the_others_leave_without_a_word(
    corpus_file: Path, base_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    done = together(corpus_file, base_folder, tmp_path)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if "cloze: " in line]
    assert len(lines) == 1, done.stderr
    assert "holds something and no run of training" in lines[0]
