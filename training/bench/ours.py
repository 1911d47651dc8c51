"""The loop of the house under the clock: the steps and batches that `cloze pretrain` runs."""

from collections.abc import Mapping
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
from training.pretraining import Phase, Pretraining, Size

if TYPE_CHECKING:
    from transformers import BertForPreTraining

_TOKENS_AT_ONCE = 4096


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


class Watched(Pretraining):
    """Pretraining that counts what goes through the model, and the seconds that takes."""

    def watch(self, size: ModelSize) -> None:
        """Count anew."""
        self.size = size
        self.operations = self.places = self.tokens = 0
        self.seconds = 0.0

    def backward(self, step: Batch, counts: Mapping[str, float]) -> dict[str, float]:
        """Add up gradients, and count."""
        begin = perf_counter()
        sums = super().backward(step, counts)
        self.seconds += perf_counter() - begin
        self.tokens += step.tokens
        for rows in step.rows:
            number, width = rows.inputs.ids.shape
            work = Work(rows=number, width=width, masked=len(rows.places), pairs=len(rows.pairs))
            self.operations += operations(self.size, self.model.config.vocab_size, work)
            self.places += number * width
        return sums


def make_task(
    model: "BertForPreTraining", source: Source, batch_tokens: int, precision: str
) -> Watched:
    """Make the task of pretraining as `cloze pretrain` does, at one width."""
    return Watched(
        model, source.shards, source.vocabulary, corruption=source.corruption, seed=source.seed,
        phases=(Phase(width=source.width, begins=0.0),),
        size=Size(batch_tokens=batch_tokens, tokens_at_once=_TOKENS_AT_ONCE),
        dtype=torch.bfloat16 if precision == "bf16" else torch.float32, device="cpu",
    )  # fmt: skip


def run_loop(task: Pretraining, settings: LoopSettings, show: Show) -> Outcome:
    """Run the loop in a folder that is gone afterwards."""
    with TemporaryDirectory() as folder:
        return Loop(task, settings, Path(folder), Part(), "cpu").run(show)


def take_turn(task: Watched, size: ModelSize, rate: float, seconds: float) -> Turn:
    """Train for some seconds."""
    clock = Clock()

    def note(glance: Glance) -> None:
        if glance.share < 1:  # the last step is told of after the evaluation at the end
            clock.tick(glance.tokens)

    task.watch(size)
    settings = LoopSettings(budget=Budget(unit="seconds", amount=seconds), rate=rate, evaluate=1.0)
    outcome = run_loop(task, settings, note)
    return Turn(
        clock=clock,
        waiting=outcome.waited / outcome.seconds,
        inside=task.seconds / outcome.seconds,
        filled=task.tokens / task.places,
        gflops=task.operations / task.seconds / 1e9,
    )
