"""The cross-encoder as a task of the loop."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training.calibration import Calibrated, calibrate
from training.crossencoder.batches import Batch, Batches, Group, grouped
from training.crossencoder.lists import Lists, Size
from training.crossencoder.objective import DISTIL, OBJECTIVES
from training.crossencoder.scorer import Scorer
from training.crossencoder.validation import ListValidation
from training.finetuning.encoder import PLACES_AT_ONCE
from training.loop.parts import Part
from training.memory import MemoryShortError, is_memory
from training.pairs.example import Example
from training.saving import save_model

if TYPE_CHECKING:
    from transformers import BertForSequenceClassification


class CrossEncoding:
    """A cross-encoder that learns to put lists of passages in order.

    Where memory runs out, from then on half as many tokens go through the model at once. The batch
    and its gradient stay what they are: the loss is a mean over lists, and each list's is its own.
    """

    def __init__(
        self,
        scorer: Scorer,
        examples: Sequence[Example],
        validation: ListValidation,
        *,
        loss: str,
        size: Size,
        seed: int,
        device: str,
        tell: Callable[[str], None],
    ) -> None:
        """Take everything that decides the steps; `tell` hears where memory ran out."""
        self.scorer = scorer
        self.validation = validation
        self._loss = loss
        self._device = device
        self._tell = tell
        self._at_once = PLACES_AT_ONCE
        # A teacher has scored no passages of others.
        lists = Lists(examples, size, seed=seed, filled=loss != DISTIL)
        self._batches = Batches(lists, scorer, loss=loss)

    @property
    def model(self) -> "BertForSequenceClassification":
        """The model in training."""
        return self.scorer.model

    def phase(self, share: float) -> int:
        """Return 0: there is one phase."""
        return 0

    def steps(self, phase: int, position: int, part: Part) -> Generator[Batch]:
        """Yield the batches from a position on, which counts examples."""
        with closing(self._batches.ahead(position, part, self._at_once)) as made:
            yield from made

    def backward(self, step: Batch, counts: Mapping[str, float]) -> dict[str, float]:
        """Make the gradients of the mean loss, and return the loss summed over own lists.

        Raises:
            MemoryShortError: memory doesn't hold one list.
        """
        while True:
            if step.at_once > self._at_once:
                step = replace(
                    step, at_once=self._at_once, groups=grouped(step.lists, self._at_once)
                )
            try:
                return {self._loss: self._passed(step, counts[self._loss])}
            except (MemoryError, RuntimeError) as error:
                if not is_memory(error):
                    raise
            # Outside the handler, whose traceback holds on to what was computed.
            self._shrink(step)

    def evaluate(self) -> dict[str, float]:
        """Return nDCG@10 of the held-out queries' lists."""
        return self.validation.run(self.scorer)

    @cached_property
    def calibrated(self) -> Calibrated | None:
        """Calibrate the scores of the held-out pairs by the weights as they are when first asked.

        None where there are too few queries.
        """
        return calibrate(self.validation.scored(self.scorer))

    def save(self, folder: Path) -> None:
        """Write the model as Hugging Face does."""
        save_model(self.model, folder)

    def _passed(self, step: Batch, count: float) -> float:
        total = 0.0
        for group in step.groups:
            losses = self._losses(group).sum()
            (losses / count).backward()
            total += float(losses.detach())
        return total

    def _losses(self, group: Group) -> Tensor:
        """Return each list's loss, [lists]."""
        scores = torch.cat([self.scorer.scores(rows) for rows in group.rows])
        order = torch.cat([rows.texts for rows in group.rows]).argsort().to(self._device)
        places, targets, mask = (
            each.to(self._device) for each in (group.places, group.targets, group.mask)
        )
        return OBJECTIVES[self._loss](scores[order][places], targets, mask)

    def _shrink(self, step: Batch) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None  # what a part of the groups has given
        largest = max(len(group.mask) for group in step.groups)
        if largest == 1:
            most = max(len(each.pairs) for each in step.lists)
            raise MemoryShortError(
                f"memory doesn't hold the model and one list of {most} passages in training; give "
                "fewer --hard-negatives, a shorter --length, or a smaller --from"
            )
        self._at_once = min(self._at_once, sum(each.tokens for each in step.lists)) // 2
        self._tell(
            f"memory ran out at {largest} lists: from now on at most {self._at_once:,} tokens go "
            "through the model at once; the batch and its gradient stay what they are"
        )
