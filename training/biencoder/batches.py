"""Batches in training's order, tokenised and packed ahead of the model in a thread of their own."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.ahead import ahead
from training.biencoder.batch import Asked, ask, distinct
from training.biencoder.drawing import Drawn, draw
from training.finetuning.encoder import TextEncoder
from training.finetuning.rows import TextRows, text_rows
from training.loop.parts import Part
from training.order import Order
from training.pairs.example import Example

if TYPE_CHECKING:
    from tokenizers import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A step's size in examples, and the most negatives that each of them brings."""

    batch: int
    negatives: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Texts to encode, and their rows at so many places at once."""

    encodings: "Sequence[Encoding]"
    at_once: int
    rows: list[TextRows]

    @classmethod
    def of(cls, encodings: "Sequence[Encoding]", at_once: int) -> "Packing":
        """Pack texts."""
        return cls(encodings=encodings, at_once=at_once, rows=text_rows(encodings, at_once))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One step's work of this process.

    The batch has `texts` texts, its `queries` first and then the documents; this process encodes
    those at the places `own`, which are packed, and counts the losses of the queries `counted`.
    `tokens` are those of all processes, `position` is where the next batch begins.
    """

    queries: int
    texts: int
    asked: Asked
    own: list[int]
    packing: Packing
    counted: slice
    counts: dict[str, int]
    tokens: int
    name: str
    position: int
    part: Part


class Draws:
    """What each step takes of the examples, without end, from any position on.

    A position counts examples: the seed decides their order in each epoch, and what is drawn of
    each.
    """

    def __init__(self, examples: Sequence[Example], size: Size, *, seed: int) -> None:
        """Take what decides the draws."""
        self._examples = examples
        self._size = size
        self._seed = seed
        self._order = Order(len(examples), seed)

    def __getitem__(self, position: int) -> list[Drawn]:
        """Return what the step at a position takes of its examples."""
        positions = np.arange(position, position + self._size.batch, dtype=np.int64)
        return [
            draw(
                self._examples[number], self._size.negatives,
                seed=self._seed, epoch=int(place) // self._order.count, number=int(number),
            )
            for place, number in zip(positions, self._order[positions], strict=True)
        ]  # fmt: skip


class Batches:
    """The examples of a run as batches without end, from any position on."""

    def __init__(self, draws: Draws, encoder: TextEncoder, *, name: str) -> None:
        """Take what is drawn, and what tokenises it; queries count by `name`."""
        self._draws = draws
        self._encoder = encoder
        self._name = name

    def ahead(self, position: int, part: Part, at_once: int) -> Generator[Batch]:
        """Yield batches from a position on, a few made ahead."""
        return ahead(self._made(position, part, at_once))

    def _made(self, position: int, part: Part, at_once: int) -> Generator[Batch]:
        while True:
            batch = self.make(position, part, at_once)
            yield batch
            position = batch.position

    def make(self, position: int, part: Part, at_once: int) -> Batch:
        """Make the batch at a position.

        All processes tokenise all texts, which is cheap, and so count the same tokens; each encodes
        every so manieth of them, by length, so that all have as much to do.
        """
        drawn = self._draws[position]
        documents, own_documents = distinct(drawn)
        encodings = self._encoder.queries([each.example.query for each in drawn])
        encodings += self._encoder.documents(documents)
        lengths = [len(each) for each in encodings]
        by_length = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
        own = by_length[part.rank :: part.world]
        counted = slice(part.rank, None, part.world)
        return Batch(
            queries=len(drawn),
            texts=len(encodings),
            asked=ask(drawn, documents, own_documents),
            own=own,
            packing=Packing.of([encodings[place] for place in own], at_once),
            counted=counted,
            counts={self._name: len(drawn[counted])},
            tokens=sum(lengths),
            name=f"examples {position:,} to {position + len(drawn) - 1:,}",
            position=position + len(drawn),
            part=part,
        )
