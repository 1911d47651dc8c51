"""Two processes under torchrun make the cross-encoder that one makes."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.crossencoder.lists import Size
from training.crossencoder.plan import Plan
from training.crossencoder.run import train_crossencoder
from training.finetuning.material import Material
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.pairs.holding_out import hold_out
from training.pairs.reading import read_pairs

ROOT = Path(__file__).resolve().parents[3]
STEPS, HELD_OUT, BATCH = 6, 12, 5


def silent(*told: object) -> None:
    pass


def alone(pair_file: Path, base: Path, out: Path) -> None:
    """Train in this process."""
    pairs = read_pairs([str(pair_file)])
    examples, kept = hold_out(pairs, HELD_OUT)
    plan = Plan(
        base=str(base), loss="lambda", size=Size(batch=BATCH, negatives=3), length=32, rate=1e-3,
        budget=Budget(unit="steps", amount=STEPS), precision="fp32",
    )  # fmt: skip
    material = Material(
        pairs=pairs, train=examples, held_out=kept, paths=(str(pair_file),), options={}
    )
    train_crossencoder(plan, material, out, Part(), tell=silent, training=nullcontext(silent))


def together(pair_file: Path, base: Path, out: Path) -> "subprocess.CompletedProcess[str]":
    """Train by the command in two processes."""
    options = {
        "--from": base, "--out": out, "--loss": "lambda", "--batch": BATCH, "--hard-negatives": 3,
        "--length": 32, "--lr": 1e-3, "--steps": STEPS, "--precision": "fp32",
        "--held-out": HELD_OUT,
    }  # fmt: skip
    given = [str(part) for option in options.items() for part in option]
    return subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            str(ROOT / "cloze.py"), "train", "crossencoder", str(pair_file), "--json", *given,
        ],
        env=os.environ | {"CLOZE_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def events(folder: Path) -> dict[tuple[str, int], dict[str, float]]:
    found = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {(event["kind"], event["step"]): event for event in found}


@pytest.mark.slow
def test_two_processes_make_one_cross_encoder(
    pair_file: Path, pair_base: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    alone(pair_file, pair_base, one)
    done = together(pair_file, pair_base, two)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # the first process alone speaks
    assert told["steps"] == STEPS
    assert told["calibration"]["pairs"] == HELD_OUT * 20
    expected, found = events(one), events(two)
    assert expected.keys() == found.keys()
    assert ("train", STEPS) in expected
    for key, event in expected.items():
        for name in ("loss", "norm", "ndcg@10", "tokens"):
            if name in event:
                assert found[key][name] == pytest.approx(event[name], abs=1e-4), (key, name)
    after, wanted = (load_file(folder / "model.safetensors") for folder in (two, one))
    assert after.keys() == wanted.keys()
    for name, weight in wanted.items():
        torch.testing.assert_close(after[name], weight, atol=1e-4, rtol=0, msg=name)
    assert (two / "calibration.json").exists()
