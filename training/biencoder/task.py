"""The bi-encoder as a task of the loop."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training.biencoder.batches import Batch, Batches, Draws, Size
from training.biencoder.objective import Objective
from training.biencoder.passing import Passing
from training.finetuning.encoder import TextEncoder
from training.finetuning.validation import Validation
from training.loop.parts import Part
from training.pairs.example import Example
from training.saving import save_model

if TYPE_CHECKING:
    from transformers import BertModel

# The scores of so many pairs of query and document are made at once, 32 MiB of them: memory then
# grows with the batch, and not with its square.
_SCORES = 2**23


class BiEncoding:
    """An encoder that learns to put queries near their passages."""

    def __init__(
        self,
        encoder: TextEncoder,
        examples: Sequence[Example],
        validation: Validation,
        objective: Objective,
        *,
        name: str,
        size: Size,
        dims: tuple[int, ...],
        keeps_graph: bool,
        seed: int,
        device: str,
        tell: Callable[[str], None],
    ) -> None:
        """Take everything that decides the steps; `name` is that of the loss."""
        self._encoder = encoder
        self._validation = validation
        self._objective = objective
        self._name = name
        self._dims = dims
        self._device = device
        self._batches = Batches(Draws(examples, size, seed=seed), encoder, name=name)
        self._passing = Passing(encoder, keeps_graph=keeps_graph, tell=tell)

    @property
    def model(self) -> "BertModel":
        """The model in training."""
        return self._encoder.model

    def phase(self, share: float) -> int:
        """Return 0: there is one phase."""
        return 0

    def steps(self, phase: int, position: int, part: Part) -> Generator[Batch]:
        """Yield the batches from a position on, which counts examples."""
        with closing(self._batches.ahead(position, part, self._passing.at_once)) as made:
            yield from made

    def backward(self, step: Batch, counts: Mapping[str, float]) -> dict[str, float]:
        """Make the gradients of the mean loss, and return the loss summed over own queries.

        Each process encodes its share of the texts, sees the vectors of all, computes the whole
        loss, and takes the gradient back through its own texts; so the passages of all processes
        are candidates.
        """
        own = self._passing.vectors(step.packing)
        vectors = _gathered(own, step).requires_grad_()  # [texts, hidden]
        losses = self._losses(vectors, step, counts[self._name])
        if vectors.grad is None:
            raise AssertionError("every loss depends on the vectors")
        self._passing.backward(step.packing, vectors.grad[step.own])
        return {self._name: float(losses[step.counted].sum())}

    def _losses(self, vectors: Tensor, step: Batch, count: float) -> Tensor:
        """Return each query's loss, and add their mean's gradient to that of the vectors."""
        asked = step.asked.to(self._device)
        at_once = max(1, _SCORES // (step.texts - step.queries))
        losses = []
        for start in range(0, step.queries, at_once):
            some = slice(start, min(start + at_once, step.queries))
            found = self._objective(vectors[some], vectors[step.queries :], asked.of(some))
            (found.sum() / count).backward()
            losses.append(found.detach())
        return torch.cat(losses)

    def evaluate(self) -> dict[str, float]:
        """Return nDCG@10 of the held-out queries, of whole vectors and of cut ones."""
        return self._validation.run(self._encoder, self._dims)

    def save(self, folder: Path) -> None:
        """Write the model as Hugging Face does."""
        save_model(self.model, folder)


def _gathered(own: Tensor, step: Batch) -> Tensor:
    """Return the vectors of all processes' texts, [own texts, hidden] -> [texts, hidden].

    Each process adds its own to zeros, so that shares of different sizes need no padding.
    """
    together = own.new_zeros(step.texts, own.shape[1])
    together[step.own] = own
    if step.part.world > 1:
        from torch import distributed

        distributed.all_reduce(together)
    return together
