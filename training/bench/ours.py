"""The loop of the house under the clock: the steps and batches that `cloze pretrain` runs."""

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from training.batches import Batch
from training.bench.arithmetic import Work, operations
from training.bench.clock import Clock
from training.bench.examples import Source
from training.bench.model import ModelSize
from training.loop.loop import Loop, LoopSettings, Outcome
from training.loop.meter import Glance, Show
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.loop.task import Task
from training.pretraining import Phase, Pretraining, Size

if TYPE_CHECKING:
    from transformers import BertForPreTraining

_TOKENS_AT_ONCE = 4096
# More steps than any turn takes: the learning rate hardly rises, and weights stay where they are.
_ENDLESS = Budget(unit="steps", amount=10**6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A turn of ours: its clock, and what its steps were made of.

    `waiting` is the share of the loop's time that it waited for data, `inside` that of the model's
    forward and backward passes, `filled` the share of places that weren't padding.
    """

    clock: Clock
    waiting: float
    inside: float
    filled: float
    gflops: float


class _OverError(Exception):
    """A turn is over."""


class Watched:
    """A task of pretraining that counts what goes through the model, and where seconds go."""

    def __init__(self, task: Pretraining, size: ModelSize) -> None:
        """Count from nothing."""
        self._task = task
        self._size = size
        self.operations = self.places = self.tokens = 0
        self.waited = self.inside = self.begun = 0.0

    @property
    def model(self) -> "BertForPreTraining":
        """The model in training."""
        return self._task.model

    def phase(self, share: float) -> int:
        """Return the phase that a share of the budget belongs to."""
        return self._task.phase(share)

    def evaluate(self) -> dict[str, float]:
        """Return the held-out figures."""
        return self._task.evaluate()

    def save(self, folder: Path) -> None:
        """Write the model."""
        self._task.save(folder)

    def steps(self, phase: int, position: int, part: Part) -> Generator[Batch]:
        """Yield batches, and note how long each was waited for."""
        with closing(self._task.steps(phase, position, part)) as made:
            self.begun = perf_counter()
            while True:
                asked = perf_counter()
                step = next(made)
                self.waited += perf_counter() - asked
                yield step

    def backward(self, step: Batch, counts: Mapping[str, float]) -> dict[str, float]:
        """Add up gradients, and count."""
        begin = perf_counter()
        sums = self._task.backward(step, counts)
        self.inside += perf_counter() - begin
        self.tokens += step.tokens
        for rows in step.rows:
            number, width = rows.inputs.ids.shape
            work = Work(rows=number, width=width, masked=len(rows.places), pairs=len(rows.pairs))
            self.operations += operations(self._size, self.model.config.vocab_size, work)
            self.places += number * width
        return sums


def make_task(
    model: "BertForPreTraining", source: Source, batch_tokens: int, precision: str
) -> Pretraining:
    """Make the task of pretraining as `cloze pretrain` does, at one width."""
    return Pretraining(
        model, source.shards, source.vocabulary, corruption=source.corruption, seed=source.seed,
        phases=(Phase(width=source.width, begins=0.0),),
        size=Size(batch_tokens=batch_tokens, tokens_at_once=_TOKENS_AT_ONCE),
        dtype=torch.bfloat16 if precision == "bf16" else torch.float32, device="cpu",
    )  # fmt: skip


def run_loop(task: Task, settings: LoopSettings, show: Show) -> Outcome:
    """Run the loop in a folder that is gone afterwards."""
    with TemporaryDirectory() as folder:
        return Loop(task, settings, Path(folder), Part(), "cpu").run(show)


def run_until(task: Task, rate: float, is_over: Callable[[Glance], bool]) -> None:
    """Run the loop until a step after which it is over, without evaluating or saving."""

    def show(glance: Glance) -> None:
        if is_over(glance):
            raise _OverError

    settings = LoopSettings(budget=_ENDLESS, rate=rate, save_seconds=math.inf)
    with suppress(_OverError):
        run_loop(task, settings, show)


def take_turn(task: Pretraining, size: ModelSize, rate: float, seconds: float) -> Turn:
    """Train for some seconds after the steps that aren't timed."""
    clock, watched = Clock(), Watched(task, size)

    def is_over(glance: Glance) -> bool:
        clock.tick(glance.tokens)
        return clock.has_timed(seconds)

    run_until(watched, rate, is_over)
    total = perf_counter() - watched.begun
    return Turn(
        clock=clock,
        waiting=watched.waited / total,
        inside=watched.inside / total,
        filled=watched.tokens / watched.places,
        gflops=watched.operations / watched.inside / 1e9,
    )
