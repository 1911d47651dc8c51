"""The bi-encoder in the loop: exact resume with its best weights, and a loss that runs away."""

from pathlib import Path

import pytest
import torch

from indexer.errors import ClozeError
from tests.training.biencoder.conftest import MakeTask
from training.loop.journal import read_journal
from training.loop.loop import Loop, LoopSettings, Outcome
from training.loop.meter import Glance, Show
from training.loop.parts import Part
from training.loop.schedule import Budget


class CrashError(Exception):
    """A crash between two steps."""


@pytest.fixture(autouse=True)
def unpictured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.loop.journal.draw_curve", lambda *events: None)


def train(
    make_task: MakeTask, folder: Path, show: Show, *, steps: int = 10, rate: float = 3e-3,
    loss: str = "infonce",
) -> tuple[dict[str, torch.Tensor], Outcome]:  # fmt: skip
    folder.mkdir(exist_ok=True)
    settings = LoopSettings(
        budget=Budget(unit="steps", amount=steps), rate=rate, evaluate=0.2, best="ndcg@10",
        save_seconds=0.0, journal=1,
    )  # fmt: skip
    task = make_task(loss)
    outcome = Loop(task, settings, folder, Part(), "cpu").run(show)
    return {name: each.detach() for name, each in task.model.named_parameters()}, outcome


def silent(glance: Glance) -> None:
    pass


def crash_after(step: int) -> Show:
    def show(glance: Glance) -> None:
        if glance.step > step:
            raise CrashError

    return show


def test_a_run_that_goes_on_ends_with_the_bits_of_one_that_was_not_stopped(
    make_task: MakeTask, tmp_path: Path
) -> None:
    expected, whole = train(make_task, tmp_path / "whole", silent)
    # In the middle of the first epoch of four steps, and after its end.
    for step in (1, 5):
        with pytest.raises(CrashError):
            train(make_task, tmp_path / "cut", crash_after(step))
        torch.manual_seed(step)
    found, again = train(make_task, tmp_path / "cut", silent)
    assert all(torch.equal(found[name], each) for name, each in expected.items())
    assert (again.figures, again.state.best_step) == (whole.figures, whole.state.best_step)
    assert again.state.position == 80
    journals = [
        [
            {key: value for key, value in event.items() if "second" not in key}
            for event in read_journal(tmp_path / name)
        ]
        for name in ("whole", "cut")
    ]
    assert journals[0] == journals[1]


def test_training_learns(make_task: MakeTask, tmp_path: Path) -> None:
    for loss in ("infonce", "cached", "kl", "marginmse"):
        train(make_task, tmp_path / loss, silent, steps=16, rate=1e-2, loss=loss)
        events = list(read_journal(tmp_path / loss))
        losses = [event["loss"] for event in events if event["kind"] == "train"]
        assert sum(losses[-4:]) < 0.8 * sum(losses[:4]), loss


def test_a_loss_that_runs_away_stops_in_one_line_and_the_last_good_state_stays(
    make_task: MakeTask, tmp_path: Path
) -> None:
    task = make_task()
    settings = LoopSettings(
        budget=Budget(unit="steps", amount=60), rate=1e-4, evaluate=1.0, best="ndcg@10",
        save_seconds=0.0,
    )  # fmt: skip

    def spoil(glance: Glance) -> None:
        if glance.step == 6:
            with torch.no_grad():
                next(task.model.parameters())[:] = float("nan")

    loop = Loop(task, settings, tmp_path, Part(), "cpu")
    saves = loop.checkpoints.save
    loop.checkpoints.save = (  # type: ignore[method-assign]
        lambda state, *rest: saves(state, *rest) if state.step < 6 else tmp_path
    )
    with pytest.raises(
        ClozeError, match=r"ran away at step 7 \(examples 48 to 55\): it is nan.*with a lower --lr"
    ) as stopped:
        loop.run(spoil)
    newest = loop.checkpoints.newest()
    assert newest is not None and newest.name == "step-000000005"
    assert str(newest) in str(stopped.value) and "\n" not in str(stopped.value)
