"""A run that was stopped and goes on ends with the bits of one that was not."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.small import small_task
from training.loop.interruption import StoppedError
from training.loop.journal import read_journal
from training.loop.loop import Loop, LoopSettings, Outcome
from training.loop.meter import Glance, Show
from training.loop.optimiser import optimiser_state
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.masking import Vocabulary
from training.pretraining import Pretraining
from training.shards import Shards

STEPS = 20
Make = Callable[[], Pretraining]


class CrashError(Exception):
    """A crash between two steps."""


@pytest.fixture(scope="module", autouse=True)
def unpictured() -> Iterator[None]:
    """A picture takes longer than twenty of these steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.loop.journal.draw_curve", lambda events, path, figure: None)
        yield


@pytest.fixture(scope="module")
def make(text_shards: Shards, base_vocabulary: Vocabulary) -> Make:
    """Tasks of two widths whose batches go through the model in several lots of rows."""
    return lambda: small_task(
        text_shards, base_vocabulary, widths=(16, 64), pairing="nsp", tokens_at_once=128
    )


@pytest.fixture(scope="module")
def undisturbed(
    make: Make, unpictured: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Tensor], Outcome]:
    """A run from the first step to the last."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, *end(loop_of(make(), folder))


def silent(glance: Glance) -> None:
    pass


def loop_of(
    task: Pretraining, folder: Path, budget: Budget | None = None, **options: float
) -> Loop:
    folder.mkdir(exist_ok=True)
    given: dict[str, Any] = {"rate": 1e-3, "save_seconds": 0.0, "journal": 1, "evaluate": 0.5}
    settings = LoopSettings(budget=budget or Budget(unit="steps", amount=STEPS), **given | options)
    return Loop(task, settings, folder, Part(), "cpu")


def end(loop: Loop, show: Show = silent) -> tuple[dict[str, Tensor], Outcome]:
    """Run to the end; the model and the optimiser's state, bit by bit."""
    outcome = loop.run(show)
    task, optimiser = loop._task, loop._optimiser
    moments = optimiser_state(task.model, optimiser)
    weights = dict(task.model.named_parameters())
    return {name: each.detach().clone() for name, each in (weights | moments).items()}, outcome


def crash_after(step: int) -> Show:
    def show(glance: Glance) -> None:
        if glance.step > step:
            raise CrashError

    return show


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, each in expected.items():
        assert torch.equal(found[name], each), name


def losses(folder: Path, kind: str = "train") -> dict[int, float]:
    found = [event for event in read_journal(folder) if event["kind"] == kind]
    assert len({event["step"] for event in found}) == len(found), "a step is there twice"
    return {event["step"]: event["loss"] for event in found}


def test_twenty_steps_are_ten_and_ten(
    make: Make, undisturbed: tuple[Path, dict[str, Tensor], Outcome], tmp_path: Path
) -> None:
    whole_folder, expected, whole = undisturbed
    # In the first phase, at its end (18 of 20 steps), just after it, and one after another.
    for crashes in ([10], [3, 18, 19]):
        folder = tmp_path / str(crashes)
        for step in crashes:
            loop = loop_of(make(), folder)
            with pytest.raises(CrashError):
                loop.run(crash_after(step))
            # Torch's global chance isn't what decides.
            torch.manual_seed(step)
        loop = loop_of(make(), folder)
        assert loop.state.step == crashes[-1]
        found, outcome = end(loop)
        assert_same(found, expected)
        assert (outcome.state.step, outcome.state.tokens) == (STEPS, whole.state.tokens)
        assert (outcome.state.phase, outcome.state.position) == (
            whole.state.phase, whole.state.position,
        )  # fmt: skip
        assert outcome.figures == whole.figures
        assert losses(folder) == losses(whole_folder)
        assert losses(folder, "held_out") == losses(whole_folder, "held_out")
    assert whole.state.phase == 1


def test_the_journal_tells_every_step_and_phase(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.evaluation._PAUSE", 0.0)
    _, outcome = end(loop_of(make(), tmp_path, journal=3, evaluate=0.1))
    events = list(read_journal(tmp_path))
    train = [event for event in events if event["kind"] == "train"]
    assert [event["step"] for event in train] == [3, 6, 9, 12, 15, 18, 20]
    assert [event["phase"] for event in train] == [0] * 6 + [1]
    for event in train:
        assert event["loss"] == pytest.approx(event["mlm"] + event["nsp"])
        assert min(event["mlm"], event["nsp"]) > 0
        assert event["tokens_per_second"] > 0
        assert 0 < event["rate"] <= 1e-3
        assert event["norm"] > 0
    held_out = [event for event in events if event["kind"] == "held_out"]
    assert [event["step"] for event in held_out] == list(range(2, 21, 2))
    assert {name: held_out[-1][name] for name in outcome.figures} == outcome.figures
    assert train[-1]["tokens"] == outcome.state.tokens


def test_training_learns(make: Make, tmp_path: Path) -> None:
    budget = Budget(unit="steps", amount=60)
    end(loop_of(make(), tmp_path, budget, save_seconds=100, rate=5e-3))
    found = losses(tmp_path, "held_out")
    assert found[60] < found[30]


def test_a_finished_run_takes_no_further_step(make: Make, tmp_path: Path) -> None:
    expected, first = end(loop_of(make(), tmp_path))
    log = (tmp_path / "log.jsonl").read_bytes()
    found, again = end(loop_of(make(), tmp_path), crash_after(-1))
    assert_same(found, expected)
    assert again.state == first.state
    assert again.figures == first.figures
    assert (tmp_path / "log.jsonl").read_bytes() == log


@pytest.mark.own_process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_obeyed_after_a_step_and_what_was_done_is_kept(
    make: Make,
    undisturbed: tuple[Path, dict[str, Tensor], Outcome],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    _, expected, _ = undisturbed
    got: list[int] = []
    before = signal.signal(number, lambda signum, frame: got.append(signum))
    try:

        def press(glance: Glance) -> None:
            assert glance.step <= 8
            if glance.step == 7:
                signal.raise_signal(number)

        # A run that was stopped must never be taken for one that is finished.
        with pytest.raises(StoppedError) as stopped:
            loop_of(make(), tmp_path / "run", save_seconds=1000.0).run(press)
        assert stopped.value.number == number
        assert not got
        loop = loop_of(make(), tmp_path / "run")
        assert loop.state.step == 8
        found, _ = end(loop)
    finally:
        signal.signal(number, before)
    assert_same(found, expected)


@pytest.mark.own_process
def test_an_ignored_signal_stops_nothing(make: Make, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        def hang_up(glance: Glance) -> None:
            if glance.step == 3:
                signal.raise_signal(signal.SIGHUP)

        _, outcome = end(loop_of(make(), tmp_path), hang_up)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert outcome.state.step == STEPS


def test_a_slow_evaluation_has_a_tenth_of_the_time(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now

    def evaluate() -> dict[str, float]:
        nonlocal now
        now += 0.5
        return {"loss": 1.0}

    def tick(glance: Glance) -> None:
        nonlocal now
        now += 1.0

    monkeypatch.setattr("training.loop.evaluation.time", Clock)
    task = make()
    monkeypatch.setattr(task, "evaluate", evaluate)
    end(loop_of(task, tmp_path, save_seconds=1e9, evaluate=0.05), tick)
    # One is due at every step; there are five steps' seconds between two of them, and a last one.
    assert list(losses(tmp_path, "held_out")) == [1, 6, 11, 16, 20]


def test_a_wider_phase_is_compared_with_itself(make: Make, tmp_path: Path) -> None:
    loop = loop_of(make(), tmp_path)
    end(loop)
    # Two of twenty steps have been at the second width.
    assert (loop.state.phase, loop.state.trend.steps) == (1, 2)


@pytest.mark.own_process
def test_a_second_signal_acts_at_once(make: Make, tmp_path: Path) -> None:
    def press(glance: Glance) -> None:
        if glance.step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        loop_of(make(), tmp_path).run(press)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_budget_of_tokens_ends_with_the_step_that_reaches_it(make: Make, tmp_path: Path) -> None:
    budget = Budget(unit="tokens", amount=2000)
    expected, outcome = end(loop_of(make(), tmp_path / "whole", budget))
    steps = losses(tmp_path / "whole")
    before = [
        event["tokens"]
        for event in read_journal(tmp_path / "whole")
        if event["kind"] == "train" and event["step"] == len(steps) - 1
    ]
    assert before[0] < 2000 <= outcome.state.tokens
    with pytest.raises(CrashError):
        loop_of(make(), tmp_path / "run", budget).run(crash_after(4))
    found, again = end(loop_of(make(), tmp_path / "run", budget))
    assert_same(found, expected)
    assert again.state.tokens == outcome.state.tokens


def test_a_budget_of_time_counts_training_alone(make: Make, tmp_path: Path) -> None:
    budget = Budget(unit="seconds", amount=0.3)
    loop = loop_of(make(), tmp_path, budget, save_seconds=1000.0)
    _, outcome = end(loop)
    state = json.loads(
        (tmp_path / "checkpoints" / f"step-{outcome.state.step:09d}" / "state.json").read_text()
    )["state"]
    assert state["seconds"] == outcome.state.seconds >= 0.3
    seconds = [event["seconds"] for event in read_journal(tmp_path) if event["kind"] == "train"]
    assert seconds == sorted(seconds)
    assert len(seconds) == outcome.state.step
    # All but the last step began within the budget.
    assert seconds[-2] < 0.3 if len(seconds) > 1 else True
    assert 0 <= state["waited"] <= state["seconds"]
