"""Checkpoints: whole or not there, the newest kept, and the last good one found again."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim import AdamW

from training.loop.checkpoints import Checkpoints, State
from training.loop.optimiser import make_optimiser, optimiser_state
from training.loop.trend import Trend


def model_after(steps: int) -> tuple[nn.Module, AdamW]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimiser = make_optimiser(model, decay=0.1, betas=(0.9, 0.98))
    for _ in range(steps):
        train(model, optimiser)
    return model, optimiser


def train(model: nn.Module, optimiser: AdamW) -> None:
    optimiser.param_groups[0]["lr"] = optimiser.param_groups[1]["lr"] = 0.01
    model(torch.ones(4, 3)).square().sum().backward()
    optimiser.step()
    optimiser.zero_grad()


def saved(folder: Path, *steps: int, keep: int = 2) -> Checkpoints:
    checkpoints = Checkpoints(folder / "checkpoints", keep)
    for step in steps:
        checkpoints.save(State(step=step, tokens=step * 10), *model_after(step))
    return checkpoints


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_all_of_a_state_comes_back(tmp_path: Path) -> None:
    state = State(
        step=7, tokens=123, seconds=0.1 + 0.2, waited=0.1, phase=1, position=99,
        trend=Trend(steps=7, smoothed=1 / 3, first=2.5, lowest=0.3, above=2),
    )  # fmt: skip
    model, optimiser = model_after(7)
    Checkpoints(tmp_path).save(state, model, optimiser)
    random = torch.rand(5)
    torch.manual_seed(77)

    other, its_optimiser = model_after(0)
    found, notices = Checkpoints(tmp_path).restore(other, its_optimiser)
    assert (found, notices) == (state, [])
    # Torch's own chance goes on too: the checkpoint was written before those five were drawn.
    assert torch.equal(torch.rand(5), random)
    for _ in range(3):
        train(model, optimiser)
        train(other, its_optimiser)
    for one, same in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same)
    moments = optimiser_state(other, its_optimiser)
    for name, each in optimiser_state(model, optimiser).items():
        assert torch.equal(each, moments[name])


def test_the_newest_are_kept_and_nothing_else_lies_about(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 5, 9, 10, 100)
    assert names(tmp_path) == ["step-000000010", "step-000000100"]
    assert checkpoints.newest() == tmp_path / "checkpoints" / "step-000000100"
    for path in (tmp_path / "checkpoints").rglob("*"):
        if path.is_file():
            assert path.suffix in {".safetensors", ".json"}, "no pickle"
            json.loads(path.read_text()) if path.suffix == ".json" else load_file(path)
    checkpoints.remove()
    assert not (tmp_path / "checkpoints").exists()
    assert checkpoints.restore(*model_after(0)) == (State(), [])
    assert checkpoints.newest() is None


def test_a_step_that_is_on_disk_is_not_written_again(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 3)
    folder = tmp_path / "checkpoints" / "step-000000003"
    before = folder.stat().st_ino
    checkpoints.save(State(step=3), *model_after(3))
    again = Checkpoints(tmp_path / "checkpoints")
    again.restore(*model_after(0))
    again.save(State(step=3), *model_after(3))
    assert folder.stat().st_ino == before
    assert names(tmp_path) == ["step-000000003"]
    # One that is damaged is: the run began anew and has come as far.
    os.truncate(folder / "model.safetensors", 10)
    again.restore(*model_after(0))
    again = Checkpoints(tmp_path / "checkpoints")
    again.restore(*model_after(0))
    again.save(State(step=3), *model_after(3))
    assert Checkpoints(tmp_path / "checkpoints").restore(*model_after(0))[0].step == 3


@pytest.mark.parametrize("damaged", [[8, 9], [9], [4, 8, 9]])
def test_after_damaged_ones_the_new_are_kept(tmp_path: Path, damaged: list[int]) -> None:
    saved(tmp_path, 4, 8, 9, keep=3)
    for step in damaged:
        os.truncate(tmp_path / "checkpoints" / f"step-{step:09d}" / "model.safetensors", 10)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    state, notices = checkpoints.restore(*model_after(0))
    assert len(notices) == len(damaged)
    good = [step for step in (4, 8, 9) if step not in damaged]
    assert state.step == max(good, default=0)
    newest = checkpoints.newest()
    assert (newest and newest.name) == (f"step-{good[-1]:09d}" if good else None)
    for step in (state.step + 1, state.step + 2):
        written = checkpoints.save(State(step=step), *model_after(step))
        assert checkpoints.newest() == written
        assert Checkpoints(tmp_path / "checkpoints").restore(*model_after(0)) == (
            State(step=step), [],
        )  # fmt: skip
    kept = (state.step + 1, state.step + 2)
    assert names(tmp_path) == [f"step-{step:09d}" for step in kept]


def test_what_a_kill_left_half_written_is_not_seen_and_is_cleared_away(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 4)
    half = tmp_path / "checkpoints" / ".step-000000005.part"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"\0" * 100)
    assert checkpoints.restore(*model_after(0)) == (State(step=4, tokens=40), [])
    checkpoints.save(State(step=6), *model_after(6))
    assert names(tmp_path) == ["step-000000004", "step-000000006"]


@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "state.json"])
@pytest.mark.parametrize("how", ["cut", "flipped", "gone", "empty"])
def test_a_damaged_one_is_named_and_the_one_before_it_taken(
    tmp_path: Path, name: str, how: str
) -> None:
    checkpoints = saved(tmp_path, 4, 5)
    victim = tmp_path / "checkpoints" / "step-000000005" / name
    content = victim.read_bytes()
    victim.unlink()
    if how == "cut":
        victim.write_bytes(content[: len(content) // 2])
    elif how == "flipped":
        # Within a number of state.json; anywhere in the tensors.
        place = content.rindex(b'"sha256"') + 40 if name == "state.json" else len(content) // 2
        flipped = bytes([content[place] ^ 1])
        victim.write_bytes(content[:place] + flipped + content[place + 1 :])
    elif how == "empty":
        victim.touch()
    model, optimiser = model_after(0)
    state, notices = checkpoints.restore(model, optimiser)
    assert state.step == 4
    (notice,) = notices
    assert "step-000000005 is damaged" in notice
    assert "\n" not in notice
    for found, expected in zip(model.parameters(), model_after(4)[0].parameters(), strict=True):
        assert torch.equal(found, expected)


def test_where_all_are_damaged_training_begins_anew_and_says_so(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 4, 5)
    for folder in (tmp_path / "checkpoints").iterdir():
        os.truncate(folder / "model.safetensors", 10)
    model, optimiser = model_after(0)
    before = [each.clone() for each in model.parameters()]
    state, notices = checkpoints.restore(model, optimiser)
    assert state == State()
    assert len(notices) == 2
    assert "beginning anew" in notices[-1]
    for found, expected in zip(model.parameters(), before, strict=True):
        assert torch.equal(found, expected)
    assert not optimiser_state(model, optimiser)
