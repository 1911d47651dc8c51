"""The task: its gradient, its memory, and a run that was stopped and goes on bit for bit."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from indexer.errors import ClozeError
from tests.training.crossencoder.made import HELD_OUT, Make, made_examples, made_task
from training.crossencoder import task as task_module
from training.crossencoder.objective import OBJECTIVES, targets_of
from training.crossencoder.scorer import Scorer
from training.crossencoder.task import CrossEncoding
from training.finetuning.rows import TextRows
from training.loop.journal import read_journal
from training.loop.loop import Loop, LoopSettings, Outcome
from training.loop.meter import Glance, Show
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.pairs.example import Example

STEPS = 12


class CrashError(Exception):
    """A crash between two steps."""


@pytest.fixture(scope="module", autouse=True)
def unpictured() -> Iterator[None]:
    """A picture takes longer than these steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.loop.journal.draw_curve", lambda events, path, figure: None)
        yield


def loop_of(
    task: CrossEncoding,
    folder: Path,
    steps: int = STEPS,
    rate: float = 1e-3,
    save_seconds: float = 0.0,
) -> Loop:
    folder.mkdir(exist_ok=True)
    settings = LoopSettings(
        budget=Budget(unit="steps", amount=steps), rate=rate, save_seconds=save_seconds, journal=1,
        evaluate=0.25, best="ndcg@10",
    )  # fmt: skip
    return Loop(task, settings, folder, Part(), "cpu")


def silent(glance: Glance) -> None:
    pass


def crash_after(step: int) -> Show:
    def show(glance: Glance) -> None:
        if glance.step > step:
            raise CrashError

    return show


def weights(task: CrossEncoding) -> dict[str, Tensor]:
    return {name: each.detach().clone() for name, each in task.model.named_parameters()}


def ended(task: CrossEncoding, folder: Path) -> tuple[dict[str, Tensor], Outcome]:
    outcome = loop_of(task, folder).run(silent)
    return weights(task), outcome


def gradient_of(task: CrossEncoding, position: int = 0, part: Part | None = None) -> Tensor:
    """The gradient of a step's mean loss, of all parameters."""
    step = next(task.steps(0, position, part or Part()))
    (name,) = step.counts
    task.backward(step, {name: 4.0})
    return flat(task)


def flat(task: CrossEncoding) -> Tensor:
    parameters = list(task.model.parameters())
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    )


def test_a_run_that_was_stopped_ends_with_the_same_bits(make: Make, tmp_path: Path) -> None:
    expected, whole = ended(make(), tmp_path / "whole")
    folder = tmp_path / "stopped"
    for step in (2, 7):
        with pytest.raises(CrashError):
            loop_of(make(), folder).run(crash_after(step))
        torch.manual_seed(step)  # torch's global chance isn't what decides
    found, again = ended(make(), folder)
    for name, each in expected.items():
        assert torch.equal(found[name], each), name
    assert again.figures == whole.figures
    assert (again.state.position, again.state.tokens, again.state.best_step) == (
        whole.state.position, whole.state.tokens, whole.state.best_step,
    )  # fmt: skip
    losses = [
        {each["step"]: each["loss"] for each in read_journal(path) if each["kind"] == "train"}
        for path in (tmp_path / "whole", folder)
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == STEPS


@pytest.mark.parametrize("loss", list(OBJECTIVES))
def test_a_step_is_the_mean_of_the_lists_losses(pair_base: Path, loss: str) -> None:
    """The gradient, against each list alone by transformers' own forward pass."""
    examples = made_examples(30, scores=True)
    task = made_task(pair_base, examples, loss=loss)
    found = gradient_of(task)
    lists = task._batches._lists[0]
    task.model.zero_grad()
    task.model.eval()  # without dropout, as ours
    for made in lists:
        logits = []
        for tokens in task.scorer.tokenised(made.pairs):
            output = task.model(
                input_ids=torch.tensor([tokens.ids]), token_type_ids=torch.tensor([tokens.type_ids])
            )
            logits.append(output.logits[0, 0])
        scores = torch.stack(logits)[None]
        targets = torch.tensor([list(targets_of(loss, made))])
        value = OBJECTIVES[loss](scores, targets, torch.ones_like(scores, dtype=torch.bool))
        (value.sum() / len(lists)).backward()
    expected = flat(task)
    assert float(expected.abs().max()) > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_what_goes_through_at_once_changes_no_gradient(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = gradient_of(make())
    for at_once in (1, 150):
        monkeypatch.setattr(task_module, "PLACES_AT_ONCE", at_once)
        task = make()
        step = next(task.steps(0, 0, Part()))
        assert len(step.groups) > 1
        torch.testing.assert_close(gradient_of(task), expected, atol=1e-6, rtol=1e-5)


def test_two_processes_have_one_gradient_between_them(make: Make) -> None:
    expected = gradient_of(make())
    parts = [Part(rank=rank, world=3) for rank in range(3)]
    halves = [gradient_of(make(), part=part) for part in parts]
    torch.testing.assert_close(sum(halves), expected, atol=1e-6, rtol=1e-5)
    steps = [next(make().steps(0, 0, part)) for part in (Part(), *parts)]
    assert len({step.tokens for step in steps}) == 1
    assert [step.counts["listnet"] for step in steps] == [4, 2, 1, 1]


def test_where_memory_runs_out_half_as_much_goes_through(
    make: Make, pair_base: Path, examples: tuple[Example, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = gradient_of(make())
    scores = Scorer.scores

    def poor(self: Scorer, rows: TextRows) -> Tensor:
        if rows.tokens > 200:
            raise MemoryError
        return scores(self, rows)

    monkeypatch.setattr(Scorer, "scores", poor)
    told: list[str] = []
    task = made_task(pair_base, examples)
    task._tell = told.append
    torch.testing.assert_close(gradient_of(task), expected, atol=1e-6, rtol=1e-5)
    assert told
    line = r"memory ran out at [2-4] lists: from now on at most [\d,]+ tokens go through .*"
    assert all(re.fullmatch(line, each) for each in told)
    # Batches that were made before, and those made after, go through in small groups too.
    count = len(told)
    for position in (0, 4):
        assert bool(gradient_of(task, position).isfinite().all())
    assert len(told) == count

    def none(self: Scorer, rows: TextRows) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Scorer, "scores", none)
    with pytest.raises(ClozeError, match="memory doesn't hold the model and one list of 4"):
        gradient_of(task)
    monkeypatch.setattr(Scorer, "scores", lambda self, rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gradient_of(task)


@pytest.mark.parametrize("loss", ["bce", "listnet", "lambda"])
def test_training_learns_to_put_lists_in_order(
    pair_base: Path, examples: tuple[Example, ...], tmp_path: Path, loss: str
) -> None:
    # Judged on what it is trained on, which even this model can learn by heart.
    few = examples[:HELD_OUT]
    task = made_task(pair_base, (*few, *few), loss=loss, batch=6)
    outcome = loop_of(task, tmp_path, steps=32, rate=5e-3, save_seconds=1e3).run(silent)
    judged = [each for each in read_journal(tmp_path) if each["kind"] == "held_out"]
    figures = [each["ndcg@10"] for each in judged]
    assert [each["step"] for each in judged] == [0, 8, 16, 24, 32]
    assert max(figures) > figures[0] + 0.05
    # The best weights are what is left, and what is judged and calibrated.
    assert outcome.figures["ndcg@10"] == max(figures)
    assert task.evaluate()["ndcg@10"] == pytest.approx(max(figures), abs=1e-6)
    losses = [each["loss"] for each in read_journal(tmp_path) if each["kind"] == "train"]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


def test_a_teachers_scores_are_learned(pair_base: Path, tmp_path: Path) -> None:
    examples = made_examples(HELD_OUT + 4, scores=True)
    taught = [each for each in examples if each.scores]
    task = made_task(pair_base, taught, loss="distil")
    loop_of(task, tmp_path, steps=40, rate=5e-3, save_seconds=1e3).run(silent)
    losses = [each["loss"] for each in read_journal(tmp_path) if each["kind"] == "train"]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_loss_that_runs_away_ends_the_run_and_the_last_good_state_stays(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make()
    backward = task.backward

    def runaway(step: object, counts: object) -> dict[str, float]:
        found = backward(step, counts)  # type: ignore[arg-type]
        return {"listnet": float("nan")} if "examples 20 " in step.name else found  # type: ignore[attr-defined]

    monkeypatch.setattr(task, "backward", runaway)
    where = r"ran away at step 6 \(examples 20 to 23\): it is nan"
    with pytest.raises(ClozeError, match=where) as told:
        loop_of(task, tmp_path).run(silent)
    assert "step-000000005 is the last good one" in str(told.value)
    assert loop_of(make(), tmp_path).state.step == 5
