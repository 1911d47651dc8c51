"""A loss that is no number or runs away ends a run in one line, and the last good state stays."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from indexer.errors import ClozeError
from tests.training.small import small_bert, small_task
from training.loop.checkpoints import Checkpoints
from training.loop.loop import Loop, LoopSettings
from training.loop.meter import Glance, Show
from training.loop.optimiser import make_optimiser
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.masking import Vocabulary
from training.pretraining import Pretraining
from training.shards import Shards

_WEIGHT = "bert.encoder.layer.0.output.dense.weight"


@pytest.fixture
def task(text_shards: Shards, base_vocabulary: Vocabulary) -> Pretraining:
    return small_task(text_shards, base_vocabulary, batch_tokens=128)


def loop_of(task: Pretraining, folder: Path, *, steps: int = 60, rate: float = 1e-3) -> Loop:
    settings = LoopSettings(
        budget=Budget(unit="steps", amount=steps), rate=rate, save_seconds=0.0, evaluate=1.0
    )
    return Loop(task, settings, folder, Part(), "cpu")


def poison(task: Pretraining, step: int, change: Callable[[torch.Tensor], None]) -> Show:
    """Change a weight after a step, behind the loop's back."""

    def show(glance: Glance) -> None:
        if glance.step == step:
            with torch.no_grad():
                change(dict(task.model.named_parameters())[_WEIGHT])

    return show


def assert_good(checkpoint: Path, vocabulary: Vocabulary) -> None:
    """The checkpoint that a line names is whole, and of the state before."""
    model = small_bert(vocabulary.size, seed=8)
    optimiser = make_optimiser(model, decay=0.0, betas=(0.9, 0.98))
    state, notices = Checkpoints(checkpoint.parent).restore(model, optimiser)
    assert checkpoint.name == f"step-{state.step:09d}"
    assert not notices
    assert all(torch.isfinite(weight).all() for weight in model.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_in_one_line(
    task: Pretraining, base_vocabulary: Vocabulary, tmp_path: Path, value: float
) -> None:
    def spoil(weight: torch.Tensor) -> None:
        weight[0, 0] = value

    # Of steps 6 and 7 the seventh sees it; the state after the fifth is the last that was saved.
    loop = loop_of(task, tmp_path)
    saves = loop.checkpoints.save
    loop.checkpoints.save = lambda state, *rest: saves(state, *rest) if state.step < 6 else tmp_path  # type: ignore[method-assign]
    with pytest.raises(ClozeError) as stopped:
        loop.run(poison(task, 6, spoil))
    line = str(stopped.value)
    assert "\n" not in line
    assert re.search(r"ran away at step 7 \(width 32, sequences \d+ to \d+\): it is nan", line)
    newest = tmp_path / "checkpoints" / "step-000000005"
    assert f"{newest} is the last good one" in line
    assert_good(newest, base_vocabulary)


def test_a_loss_that_grows_far_above_its_first_stops_too(
    task: Pretraining, base_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    def spoil(weight: torch.Tensor) -> None:
        bias = task.model.cls.predictions.bias
        bias[:] = torch.linspace(-80, 80, len(bias))

    loop = loop_of(task, tmp_path, rate=1e-5)
    with pytest.raises(
        ClozeError, match=r"ran away at step (\d+) .* it is \S+ in the mean, and has been \S+, "
    ) as stopped:
        loop.run(poison(task, 30, spoil))
    step = int(re.findall(r"at step (\d+)", str(stopped.value))[0])
    assert 50 <= step < 55
    newest = loop.checkpoints.newest()
    assert newest is not None
    # None has been written since the loss is so high.
    assert int(newest.name.removeprefix("step-")) == step - 20
    assert str(newest) in str(stopped.value)
    assert_good(newest, base_vocabulary)


def test_before_the_first_checkpoint_the_line_names_none(task: Pretraining, tmp_path: Path) -> None:
    with torch.no_grad():
        task.model.bert.embeddings.word_embeddings.weight[:] = float("nan")
    with pytest.raises(ClozeError, match=r"at step 1 .* there is no checkpoint"):
        loop_of(task, tmp_path).run(lambda glance: None)
    assert not (tmp_path / "checkpoints").exists()


def test_gradients_are_clipped_to_a_norm(
    task: Pretraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = []
    loop = loop_of(task, tmp_path, steps=3)
    step = loop._optimiser.step

    def watched() -> None:
        found = [each.grad.norm() for each in task.model.parameters() if each.grad is not None]
        norms.append(torch.stack(found).norm().item())
        step()

    monkeypatch.setattr(loop._optimiser, "step", watched)
    monkeypatch.setattr(task, "backward", times(task.backward, 1000.0))
    loop.run(lambda glance: None)
    assert norms == pytest.approx([1.0] * 3, rel=1e-3)


def times(
    backward: Callable[..., dict[str, float]], factor: float
) -> Callable[..., dict[str, float]]:
    """A backward whose gradients are so much larger."""

    def larger(step: object, counts: dict[str, float]) -> dict[str, float]:
        return backward(step, {name: count / factor for name, count in counts.items()})

    return larger
