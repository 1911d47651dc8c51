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
from training.pretrain import Plan, pretrain

ROOT = Path(__file__).resolve().parents[2]
STEPS = 12


def silent(*glance: object) -> None:
    pass


def alone(text: Path, base: Path, out: Path) -> None:
    """Train in this process. One row of the second width is less than two processes share."""
    plan = Plan(
        texts=(str(text),), tokenizer=None, arch=str(base), objective="mlm+nsp",
        budget=Budget(unit="steps", amount=STEPS), widths=(16, 64), batch_tokens=64, rate=1e-3,
        precision="fp32",
    )  # fmt: skip
    pretrain(plan, out, Part(), reading=nullcontext(silent), training=nullcontext(silent))


def together(text: Path, base: Path, out: Path) -> str:
    """Train by the command in two processes, and return what they printed."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = {
        "--arch": base, "--out": out, "--objective": "mlm+nsp", "--length": "16,64",
        "--steps": STEPS, "--batch-tokens": 64, "--lr": 1e-3, "--precision": "fp32",
    }  # fmt: skip
    given = [str(part) for option in options.items() for part in option]
    command = [sys.executable, *torchrun, str(ROOT / "cloze.py"), "pretrain", str(text), "--json"]
    done = subprocess.run(
        [*command, *given],
        env=os.environ | {"CLOZE_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def losses(folder: Path, kind: str) -> dict[int, float]:
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {event["step"]: event["loss"] for event in events if event["kind"] == kind}


@pytest.mark.slow
def test_two_processes_are_one(corpus_file: Path, base_folder: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    alone(corpus_file, base_folder, one)
    told = json.loads(together(corpus_file, base_folder, two))  # the first process alone speaks
    assert told["steps"] == STEPS
    for kind in ("train", "held_out"):
        expected = losses(one, kind)
        assert losses(two, kind) == pytest.approx(expected, abs=1e-4)
        assert STEPS in expected
    found, wanted = (load_file(folder / "model.safetensors") for folder in (two, one))
    before = load_file(base_folder / "model.safetensors")
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        torch.testing.assert_close(found[name], weight, atol=1e-4, rtol=0, msg=name)
        # A key's bias adds the same to all scores of a query.
        moved = not torch.allclose(weight, before[name], atol=1e-3, rtol=0)
        assert moved or name.endswith("key.bias"), name
