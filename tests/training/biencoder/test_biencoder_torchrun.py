"""Two processes under torchrun learn what one does, each other's passages among the negatives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.pairs.example import Example

ROOT = Path(__file__).resolve().parents[3]
STEPS = 5


def start(pairs: Path, base: Path, out: Path, launcher: list[str]) -> "subprocess.Popen[str]":
    options = {
        "--from": base, "--out": out, "--steps": STEPS, "--batch": 7, "--lr": 3e-3,
        "--precision": "fp32", "--held-out": 8, "--length": 32, "--hard-negatives": 2,
    }  # fmt: skip
    given = [str(part) for option in options.items() for part in option]
    return subprocess.Popen(
        [sys.executable, *launcher, str(ROOT / "cloze.py"), "train", "biencoder", str(pairs),
         "--json", *given],
        env=os.environ | {"CLOZE_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def losses(folder: Path) -> dict[int, float]:
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {event["step"]: event["loss"] for event in events if event["kind"] == "train"}


@pytest.mark.slow
def test_two_processes_are_one(
    pair_file: Path, examples: tuple[Example, ...], sentence_folder: Path, tmp_path: Path
) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    alone = start(pair_file, sentence_folder, tmp_path / "one", [])
    together = start(pair_file, sentence_folder, tmp_path / "two", torchrun)
    told = []
    for each in (alone, together):
        out, err = each.communicate()
        assert each.returncode == 0, err
        told.append(json.loads(out))  # the first process alone speaks
    one, two = told
    assert one["steps"] == two["steps"] == STEPS
    assert one["tokens"] == two["tokens"]
    for name in ("before", "held_out"):
        assert two[name] == pytest.approx(one[name], abs=1e-4)
    expected = losses(tmp_path / "one")
    assert losses(tmp_path / "two") == pytest.approx(expected, abs=1e-4)
    found, wanted = (load_file(tmp_path / name / "model.safetensors") for name in ("two", "one"))
    for name, weight in wanted.items():
        torch.testing.assert_close(found[name], weight, atol=1e-4, rtol=0, msg=name)
