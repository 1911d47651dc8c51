"""The best weights of a run by a held-out figure: which they are, and that no stop loses them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.training.small import small_task
from training.loop.best import Best
from training.loop.checkpoints import State
from training.loop.journal import read_journal
from training.loop.loop import Loop, LoopSettings, Outcome
from training.loop.meter import Glance, Show
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.masking import Vocabulary
from training.pretraining import Pretraining
from training.shards import Shards

STEPS = 10
Make = Callable[[], Pretraining]
Weights = dict[str, Tensor]


class CrashError(Exception):
    """A crash between two steps."""


@pytest.fixture(autouse=True)
def unpictured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.loop.journal.draw_curve", lambda *events: None)


@pytest.fixture(scope="module")
def make(text_shards: Shards, base_vocabulary: Vocabulary) -> Make:
    return lambda: small_task(text_shards, base_vocabulary, batch_tokens=128)


def weights_of(model: torch.nn.Module) -> Weights:
    return {name: each.detach().clone() for name, each in model.named_parameters()}


def run(
    make: Make, folder: Path, figures: Sequence[float], *, crash: int | None = None,
    best: str | None = "good",
) -> tuple[Weights, Outcome, dict[int, Weights]]:  # fmt: skip
    """Train; every second step is judged by the next of some figures. The weights judged, too."""
    folder.mkdir(exist_ok=True)
    task = make()
    settings = LoopSettings(
        budget=Budget(unit="steps", amount=STEPS), rate=1e-3, evaluate=0.2, best=best,
        save_seconds=0.0, journal=1,
    )  # fmt: skip
    loop = Loop(task, settings, folder, Part(), "cpu")
    judged: dict[int, Weights] = {}

    def evaluate() -> dict[str, float]:
        judged[loop.state.step] = weights_of(task.model)
        return {"good": figures[loop.state.step // 2], "other": float(loop.state.step)}

    task.evaluate = evaluate  # type: ignore[method-assign]

    def show(glance: Glance) -> None:
        if glance.step == crash:
            raise CrashError

    shown: Show = show
    outcome = loop.run(shown)
    return weights_of(task.model), outcome, judged


def assert_same(found: Weights, expected: Weights) -> None:
    assert all(torch.equal(found[name], each) for name, each in expected.items())


@pytest.mark.parametrize(
    ("figures", "step"),
    [
        ([0.1, 0.2, 0.5, 0.4, 0.3, 0.2], 4),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 10),
        ([0.6, 0.2, 0.3, 0.4, 0.5, 0.6], 0),
        ([0.1, 0.2, 0.7, 0.7, 0.7, 0.7], 4),
    ],
)
def test_the_model_ends_as_it_was_at_its_best(
    make: Make, tmp_path: Path, figures: list[float], step: int
) -> None:
    found, outcome, judged = run(make, tmp_path / "run", figures)
    assert set(judged) == {0, 2, 4, 6, 8, 10}
    assert_same(found, judged[step])
    assert outcome.figures == {"good": max(figures), "other": float(step)}
    assert (outcome.state.best_step, outcome.state.step) == (step, STEPS)
    events = [each for each in read_journal(tmp_path / "run") if each["kind"] == "held_out"]
    assert [each["step"] for each in events] == [0, 2, 4, 6, 8, 10]
    assert [each["good"] for each in events] == figures


@pytest.mark.parametrize("figures", [[0.1, 0.9, 0.5, 0.4, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4, 0.8, 0.2],
                                     [0.9, 0.2, 0.3, 0.4, 0.5, 0.2]])  # fmt: skip
def test_no_crash_loses_the_best(make: Make, tmp_path: Path, figures: list[float]) -> None:
    expected, whole, _ = run(make, tmp_path / "whole", figures)
    # Before the first save, right after the best, and after it fell behind.
    for step in (1, 3, 5, 9):
        with pytest.raises(CrashError):
            run(make, tmp_path / "cut", figures, crash=step)
    found, again, judged = run(make, tmp_path / "cut", figures)
    assert 0 not in judged and STEPS in judged
    assert_same(found, expected)
    assert (again.figures, again.state.best_step) == (whole.figures, whole.state.best_step)
    kept = [each for each in read_journal(tmp_path / "cut") if each["kind"] == "held_out"]
    assert [each["good"] for each in kept] == figures


def test_a_checkpoint_keeps_the_best_beside_the_newest(make: Make, tmp_path: Path) -> None:
    _, outcome, judged = run(make, tmp_path, [0.1, 0.9, 0.5, 0.4, 0.3, 0.2])
    folder = tmp_path / "checkpoints" / "step-000000010"
    assert_same(load_file(folder / "best.safetensors"), judged[2])
    newest = load_file(folder / "model.safetensors")
    assert_same(newest, {name: each for name, each in judged[10].items() if name in newest})
    # A damaged best is as bad as a damaged model: the checkpoint before is taken.
    (folder / "best.safetensors").write_bytes(b"cut")
    _, again, _ = run(make, tmp_path, [0.1, 0.9, 0.5, 0.4, 0.3, 0.2])
    assert (again.figures, again.state.best_step) == (outcome.figures, 2)


def test_without_a_figure_the_model_ends_as_it_is(make: Make, tmp_path: Path) -> None:
    found, outcome, judged = run(make, tmp_path, [0.9] * 6, best=None)
    assert 0 not in judged
    assert_same(found, judged[STEPS])
    assert not outcome.state.best
    assert not (tmp_path / "checkpoints" / "step-000000010" / "best.safetensors").exists()


def test_equal_figures_leave_the_first() -> None:
    model = torch.nn.Linear(2, 1)
    best, state = Best("good"), State(step=3)
    best.follow({"good": 0.5}, state, model)
    first = {name: each.clone() for name, each in best.weights.items()}
    with torch.no_grad():
        model.weight += 1
    state.step = 4
    best.follow({"good": 0.5}, state, model)
    assert state.best_step == 3
    best.put_back(model)
    assert_same(weights_of(model), first)


def test_a_figure_that_is_no_number_is_never_the_best() -> None:
    model = torch.nn.Linear(2, 1)
    best, state = Best("good"), State(step=3)
    best.follow({"good": 0.5}, state, model)
    for step, figure in ((4, float("nan")), (5, 0.4)):
        state.step = step
        best.follow({"good": figure}, state, model)
    assert (state.best, state.best_step) == ({"good": 0.5}, 3)
