"""Pretraining as a task of the loop: masked language modelling, with pairs where they are asked."""

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.batches import Batch, Rows, Shape, batches, unpacked
from training.bert import Inputs, dense, encode
from training.loop.parts import Part
from training.masking import Rates, Vocabulary
from training.objectives.mlm import mlm_loss, mlm_scores
from training.saving import save_model
from training.sequences import PAIRINGS, Corruption, Sequences, room_for

if TYPE_CHECKING:
    from transformers import BertForPreTraining

    from training.shards import Shards

# So that the figures of runs with other maskings compare (as in MosaicBERT).
_HELD_OUT_RATES = Rates()
_HELD_OUT_SEQUENCES = 512
_HELD_OUT_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Training at one width, from a share of the budget on."""

    width: int
    begins: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A step's size in places, and how many of them go through the model at once."""

    batch_tokens: int
    tokens_at_once: int

    def shape(self, width: int) -> Shape:
        """Return the rows of a batch of some width."""
        return Shape(
            rows=max(1, self.batch_tokens // width),
            width=width,
            at_once=max(1, self.tokens_at_once // width),
        )


class Pretraining:
    """A BERT and the text that it learns to fill in."""

    def __init__(
        self,
        model: "BertForPreTraining",
        shards: "Shards",
        vocabulary: Vocabulary,
        *,
        phases: tuple[Phase, ...],
        corruption: Corruption,
        size: Size,
        seed: int,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        """Take everything that decides the steps.

        Raises:
            ClozeError: a width leaves no room for text, or the shards hold none for training.
        """
        self._model: BertForPreTraining = nn.Module.to(model, device)
        self._phases = phases
        self._size = size
        self._dtype = dtype
        self._device = device
        self.corruption = corruption
        self._sequences = [
            Sequences(shards.runs(room_for(each.width, corruption)), vocabulary, corruption, seed)
            for each in phases
        ]
        first = phases[0].width
        # The second sentences of nsp come from other documents, and one alone may be held out.
        pairs = corruption.pairing != "nsp" or shards.held_out > 1
        kept = Corruption(rates=_HELD_OUT_RATES, pairing=corruption.pairing if pairs else None)
        self._held_out = Sequences(
            shards.runs(room_for(first, kept), held_out=True), vocabulary, kept, _HELD_OUT_SEED
        )
        self._held_out_shape = size.shape(first)

    @property
    def model(self) -> "BertForPreTraining":
        """The model in training."""
        return self._model

    def phase(self, share: float) -> int:
        """Return the phase that a share of the budget belongs to."""
        return max(number for number, each in enumerate(self._phases) if each.begins <= share)

    def steps(self, phase: int, position: int, part: Part) -> Generator[Batch]:
        """Yield the batches of a phase, `counts` by the names of the objectives."""
        shape = self._size.shape(self._phases[phase].width)
        pinned = self._device != "cpu"
        with closing(
            batches(self._sequences[phase], position, shape, part, pinned=pinned)
        ) as made:  # fmt: skip
            for batch in made:
                counts = {"mlm": batch.counts["mlm"]}
                if pairing := self.corruption.pairing:
                    counts[pairing] = batch.counts["pair"]
                yield replace(batch, counts=counts)

    def backward(self, step: Batch, counts: Mapping[str, float]) -> dict[str, float]:
        """Add up gradients over the rows of a batch."""
        sums = dict.fromkeys(step.counts, 0.0)
        for rows in step.rows:
            losses = self._losses(rows)
            total = sum(loss / max(1.0, counts[name]) for name, loss in losses.items())
            if isinstance(total, Tensor):
                total.backward()
            for name, loss in losses.items():
                sums[name] += float(loss.detach())
        return sums

    def evaluate(self) -> dict[str, float]:
        """Return the held-out losses and accuracies by objective, at 15% of the tokens."""
        sums: dict[str, float] = {}
        with torch.no_grad():
            for rows in unpacked(self._held_out, _HELD_OUT_SEQUENCES, self._held_out_shape):
                for name, value in self._judged(rows).items():
                    sums[name] = sums.get(name, 0.0) + value
        return _figures(sums)

    def save(self, folder: Path) -> None:
        """Write the model as Hugging Face does."""
        save_model(self._model, folder)

    def _losses(self, rows: Rows) -> dict[str, Tensor]:
        """Return the summed loss of each objective that these rows ask of."""
        hidden = self._hidden(rows)  # [rows * width, hidden]
        losses = {}
        if len(rows.places):
            places, labels = self._moved(rows.places), self._moved(rows.labels)
            head = self._model.cls.predictions
            losses["mlm"] = mlm_loss(head, hidden[places], labels, self._dtype)
        if (pairing := self.corruption.pairing) and len(rows.pairs):
            scores = self._pair_scores(hidden, rows)
            losses[pairing] = functional.cross_entropy(
                scores, self._moved(rows.pairs), reduction="sum"
            )
        return losses

    def _judged(self, rows: Rows) -> dict[str, float]:
        hidden = self._hidden(rows)
        scores = mlm_scores(
            self._model.cls.predictions, hidden[self._moved(rows.places)], self._dtype
        )
        sums = _judge("mlm", scores, self._moved(rows.labels))
        if (pairing := self.corruption.pairing) and len(rows.pairs):
            sums |= _judge(pairing, self._pair_scores(hidden, rows), self._moved(rows.pairs))
        return sums

    def _hidden(self, rows: Rows) -> Tensor:
        inputs = rows.inputs
        moved = Inputs(
            ids=self._moved(inputs.ids), positions=self._moved(inputs.positions),
            segments=self._moved(inputs.segments), sequences=self._moved(inputs.sequences),
        )  # fmt: skip
        return encode(self._model.bert, moved, self._dtype).flatten(0, 1)

    def _pair_scores(self, hidden: Tensor, rows: Rows) -> Tensor:
        """Score both labels from each pair's [CLS], [pairs, 2]."""
        firsts, pooler = hidden[self._moved(rows.firsts)], self._model.bert.pooler
        if pooler is None:
            raise AssertionError("BertForPreTraining has a pooler")
        pooled = torch.tanh(dense(pooler.dense, firsts, self._dtype).float())
        return dense(self._model.cls.seq_relationship, pooled, self._dtype).float()

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=True)


def _judge(name: str, scores: Tensor, labels: Tensor) -> dict[str, float]:
    return {
        f"{name}_loss": float(functional.cross_entropy(scores, labels, reduction="sum")),
        f"{name}_right": float((scores.argmax(-1) == labels).sum()),
        f"{name}_count": float(len(labels)),
    }


def _figures(sums: dict[str, float]) -> dict[str, float]:
    figures = {}
    for name in ("mlm", *PAIRINGS):
        if count := sums.get(f"{name}_count"):
            figures[f"{name}_loss"] = sums[f"{name}_loss"] / count
            figures[f"{name}_accuracy"] = sums[f"{name}_right"] / count
    if not figures:
        return {}
    return {"loss": sum(figures[key] for key in figures if key.endswith("_loss"))} | figures
