"""The loop: steps of a task until its budget is used up, from wherever it was stopped."""

import math
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from torch.nn.utils import clip_grad_norm_

from indexer.errors import ClozeError
from training.loop.best import Best
from training.loop.checkpoints import Checkpoints, State
from training.loop.evaluation import Evaluation
from training.loop.interruption import Interruption
from training.loop.journal import Journal
from training.loop.meter import Meter, Show
from training.loop.optimiser import make_optimiser
from training.loop.parts import Part, sum_gradients, sum_over
from training.loop.schedule import Budget, learning_rate
from training.loop.task import Step, Task
from training.loop.trend import Trend

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How to train; shares are of the budget, seconds of the wall clock.

    A held-out evaluation runs every `evaluate` of the budget, seldomer where it takes long, a line
    of the journal is written every `journal` steps, a checkpoint at least every `save_seconds`, and
    `keep` are kept. With `best`, the name of a held-out figure, the model ends as it was when that
    stood highest, before the first step included.
    """

    budget: Budget
    rate: float
    warmup: float = 0.06
    decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    evaluate: float = 0.05
    journal: int = 10
    save_seconds: float = 120.0
    keep: int = 2
    best: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where training ended, and the model's held-out figures, empty but in the first process."""

    state: State
    figures: dict[str, float]


class Loop:
    """One run of training in one folder.

    On a CPU a run that was stopped and goes on ends with the same bits as one that was not, where
    its budget is in steps or tokens.
    """

    def __init__(
        self, task: Task, settings: LoopSettings, folder: Path, part: Part, device: str
    ) -> None:
        """Take up a folder's run where its newest checkpoint stands.

        `notices` tell of checkpoints that were damaged.
        """
        self._task = task
        self._settings = settings
        self._folder = folder
        self._part = part
        self._device = device
        self._optimiser = make_optimiser(task.model, decay=settings.decay, betas=settings.betas)
        self._parameters = [each for each in task.model.parameters() if each.requires_grad]
        self._meter = Meter()
        self._interruption = Interruption()
        self._stopping = False
        # The first process alone judges, so it alone has to hold the best weights.
        self._best = Best(settings.best) if settings.best and part.is_first else None
        self._evaluation = Evaluation(
            task, settings.evaluate, self._best, by_clock=settings.budget.unit == "seconds"
        )
        self.checkpoints = Checkpoints(folder / CHECKPOINTS, settings.keep)
        self.state, self.notices = self.checkpoints.restore(task.model, self._optimiser, self._best)
        self._saved = time.monotonic()

    def run(self, show: Show) -> Outcome:
        """Train until the budget is used up, and keep a checkpoint of the end.

        Raises:
            ClozeError: a loss is no number or has run away, and the line names the step's texts and
                the last good checkpoint; or the processes begin at different steps.
            StoppedError: a signal asked to stop; a checkpoint of the state is on disk.
        """
        self._check_together()
        with ExitStack() as stack:
            journal = None
            if self._part.is_first:
                journal = stack.enter_context(Journal(self._folder, self.state.step))
                self._judge_start(journal)
            stack.enter_context(self._interruption)
            while not self._stopping and (share := self._share()) < 1:
                self._run_phase(self._task.phase(share), journal, show)
            self._save()
        if self._stopping or self._interruption.asked:
            raise self._interruption.error()
        return Outcome(state=self.state, figures=self._ended())

    def _judge_start(self, journal: Journal) -> None:
        """Judge the model that training begins with, where the best is kept: it may stay that."""
        if self._best and not self.state.step:
            self._evaluation.run(self.state)
            journal.write("held_out", 0, self._facts() | self._evaluation.figures)

    def _ended(self) -> dict[str, float]:
        """Return the figures of the model as it is left, the best one's where that is kept."""
        if not self._part.is_first:
            return {}
        if self._best:
            self._best.put_back(self._task.model)
            return self.state.best
        if not self._evaluation.figures:
            self._evaluation.run(self.state)
        return self._evaluation.figures

    def _check_together(self) -> None:
        """Check that all processes have restored the same step."""
        part = self._part
        own = {str(rank): self.state.step * float(rank == part.rank) for rank in range(part.world)}
        steps = sorted({int(step) for step in sum_over(part, own, self._device).values()})
        if len(steps) > 1:
            raise ClozeError(
                f"the processes found different checkpoints in {self.checkpoints.folder}, of the "
                f"steps {', '.join(map(str, steps))}; give all of them the same folder, or delete "
                "what is damaged"
            )

    def _run_phase(self, phase: int, journal: Journal | None, show: Show) -> None:
        """Run steps until the phase ends or a stop is asked for."""
        if phase != self.state.phase:
            # A wider row's loss is another: what it is compared with begins anew.
            self.state.phase, self.state.position, self.state.trend = phase, 0, Trend()
        with closing(self._task.steps(phase, self.state.position, self._part)) as steps:
            while not self._stopping and (share := self._share()) < 1:
                if self._task.phase(share) != phase:
                    return
                loss = self._step(steps, share)
                if journal:
                    self._note(journal, share)
                    show(self._meter.glance(self.state, self._share(), loss))
                if self._save_is_due():
                    self._save()

    def _step(self, steps: Generator[Step], share: float) -> float:
        """Take one step, and return its loss."""
        self._meter.begin()
        step = next(steps)
        self._meter.fetched()
        counts = sum_over(self._part, dict(step.counts), self._device)
        sums = sum_over(self._part, self._task.backward(step, counts), self._device)
        sum_gradients(self._part, self._parameters)
        losses = {name: sums[name] / counts[name] for name in sums if counts[name]}
        losses["loss"] = sum(losses.values())
        norm = float(clip_grad_norm_(self._parameters, self._settings.clip))
        self._check(step, losses["loss"], norm)
        rate = learning_rate(self._settings.rate, self._settings.warmup, share)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self._optimiser.zero_grad()
        self._count(step, self._meter.end(step.tokens, losses | {"norm": norm, "rate": rate}))
        return losses["loss"]

    def _count(self, step: Step, seconds: tuple[float, float]) -> None:
        """Count a step: the first process's clock counts, and any process may ask to stop."""
        state, is_first = self.state, self._part.is_first
        own = dict(zip(("seconds", "waited"), seconds if is_first else (0.0, 0.0), strict=True))
        told = sum_over(
            self._part, own | {"asked": float(self._interruption.asked)}, self._device
        )  # fmt: skip
        state.step += 1
        state.tokens += step.tokens
        state.position = step.position
        state.seconds += told["seconds"]
        state.waited += told["waited"]
        self._stopping = bool(told["asked"])

    def _check(self, step: Step, loss: float, norm: float) -> None:
        """Stop where going on would spoil the model."""
        trend = self.state.trend
        is_number = math.isfinite(loss) and math.isfinite(norm)
        if is_number:
            trend.follow(loss)
        if is_number and not trend.has_diverged:
            return
        found = f"{loss:.3g}"
        if is_number:
            found = f"{trend.smoothed:.3g} in the mean, and has been {trend.lowest:.3g}"
        newest = self.checkpoints.newest()
        last = f"{newest} is the last good one" if newest else "there is no checkpoint yet"
        raise ClozeError(
            f"the loss ran away at step {self.state.step + 1} ({step.name}): it is {found}, its "
            f"gradient's norm {norm:.3g}; {last}: train into another folder with a lower --lr"
        )

    def _note(self, journal: Journal, before: float) -> None:
        """Write the journal where a line or an evaluation is due."""
        state, facts, share = self.state, self._facts(), self._share()
        if state.step % self._settings.journal == 0 or share >= 1:
            figures = facts | self._meter.take_losses() | {"tokens_per_second": self._meter.rate}
            journal.write("train", state.step, figures)
        if self._evaluation.is_due(before, share):
            self._evaluation.run(state)
            journal.write("held_out", state.step, facts | self._evaluation.figures)
            journal.draw(self._settings.best)

    def _facts(self) -> dict[str, float]:
        state = self.state
        return {
            "tokens": state.tokens, "seconds": round(state.seconds, 3), "phase": state.phase
        }  # fmt: skip

    def _share(self) -> float:
        state = self.state
        return self._settings.budget.share(
            steps=state.step, tokens=state.tokens, seconds=state.seconds
        )

    def _save_is_due(self) -> bool:
        """Tell whether it is time; while the loss is too high, the last good state is kept."""
        due = time.monotonic() - self._saved >= self._settings.save_seconds
        return due and not self.state.trend.above

    def _save(self) -> None:
        if self._part.is_first and self.state.step:
            self.checkpoints.save(self.state, self._task.model, self._optimiser, self._best)
        self._saved = time.monotonic()
