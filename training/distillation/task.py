"""Distillation as a task of the loop: a student that gives what its teacher gives."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.bert import encode, hidden_states
from training.distillation.texts import Texts, TokenText
from training.finetuning.rows import TextRows, text_rows
from training.loop.parts import Part
from training.saving import save_model

if TYPE_CHECKING:
    from transformers import BertModel

FIGURE = "agreement"
_PLACES_AT_ONCE = 8192
_HELD_OUT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStep:
    """One step's texts of this process, and what is known of them."""

    texts: list[TokenText]
    tokens: int
    counts: Mapping[str, int]
    name: str
    position: int


class Distillation:
    """A teacher that stays as it is, and a student of fewer layers.

    The loss is the mean squared distance of the student's vectors from the teacher's, and one minus
    the cosine of the hidden states of each student's layer with those of the layer that it was
    picked from, mean over tokens and layers (DistilBERT's cosine loss, Sanh et al., 2019, there of
    the last layer).
    """

    def __init__(
        self,
        teacher: "BertModel",
        student: "BertModel",
        layers: list[int],
        *,
        texts: Texts,
        held_out: Texts,
        pooling: str,
        batch: int,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        """Take all that decides the steps; `layers` are those that the student began with."""
        self._teacher: BertModel = nn.Module.to(teacher, device)
        self._teacher.requires_grad_(requires_grad=False)
        self._student: BertModel = nn.Module.to(student, device)
        self._layers = layers
        self._texts = texts
        self._held_out = held_out
        self._pooling = pooling
        self._batch = batch
        self._dtype = dtype
        self._device = device

    @property
    def teacher(self) -> "BertModel":
        """The teacher."""
        return self._teacher

    @property
    def model(self) -> "BertModel":
        """The student."""
        return self._student

    def phase(self, share: float) -> int:
        """Return the only phase."""
        return 0

    def steps(self, phase: int, position: int, part: Part) -> Generator[TextStep]:
        """Yield batches of texts; of several processes each has every so manieth text."""
        while True:
            texts = self._texts.take(position, self._batch)
            own = texts[part.rank :: part.world]
            after = position + self._batch
            yield TextStep(
                texts=own, tokens=sum(map(len, texts)),
                counts={"vectors": len(own), "hidden": sum(map(len, own))},
                name=f"texts {position:,} to {after - 1:,}", position=after,
            )  # fmt: skip
            position = after

    def backward(self, step: TextStep, counts: Mapping[str, float]) -> dict[str, float]:
        """Add up gradients over the rows of a step."""
        sums = dict.fromkeys(step.counts, 0.0)
        if not step.texts:  # there are more processes than texts
            return sums
        for rows in text_rows(step.texts, _PLACES_AT_ONCE):
            losses = self._losses(rows.to(self._device))
            total = torch.stack([loss / counts[name] for name, loss in losses.items()]).sum()
            total.backward()
            for name, loss in losses.items():
                sums[name] += float(loss.detach())
        return sums

    def evaluate(self) -> dict[str, float]:
        """Return the mean cosine of the student's vectors and its teacher's on held-out texts."""
        vectors = [self.judged_vectors(model) for model in (self._student, self._teacher)]
        return {FIGURE: float((vectors[0] * vectors[1]).sum(1).mean())}

    @torch.no_grad()
    def judged_vectors(self, model: "BertModel") -> Tensor:
        """Return the vectors that a model gives the held-out texts, [texts, hidden]."""
        texts = self._held_out.take(0, min(_HELD_OUT, self._held_out.count))
        return torch.cat(
            [
                self._pooled(self._last(model, moved), moved)
                for rows in text_rows(texts, _PLACES_AT_ONCE)
                for moved in [rows.to(self._device)]
            ]
        )

    def save(self, folder: Path) -> None:
        """Write the student as Hugging Face does."""
        save_model(self._student, folder)

    def _losses(self, rows: TextRows) -> dict[str, Tensor]:
        """Return the summed losses: of vectors by text, of hidden states by token."""
        with torch.no_grad():
            given = list(hidden_states(self._teacher, rows.inputs, self._dtype))
        own = list(hidden_states(self._student, rows.inputs, self._dtype))
        distances = functional.mse_loss(
            self._pooled(own[-1], rows), self._pooled(given[-1], rows), reduction="sum"
        )
        real = rows.inputs.sequences > 0
        apart = [
            1 - functional.cosine_similarity(student[real], given[place + 1][real])
            for student, place in zip(own[1:], self._layers, strict=True)
        ]
        return {"vectors": distances, "hidden": torch.stack(apart).mean(0).sum()}

    def _last(self, model: "BertModel", rows: TextRows) -> Tensor:
        return encode(model, rows.inputs, self._dtype)

    def _pooled(self, hidden: Tensor, rows: TextRows) -> Tensor:
        pooled = rows.means(hidden) if self._pooling == "mean" else rows.firsts(hidden)
        return functional.normalize(pooled, dim=1)
