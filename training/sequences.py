"""Sequences: what the model reads as one text, made of a run of tokens on demand."""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from indexer.errors import ClozeError
from training.masking import MASKINGS, Rates, Vocabulary
from training.objectives.nsp import next_sentence
from training.objectives.pair import UNASKED, Pair
from training.objectives.sop import sentence_order
from training.order import Order
from training.packing import Piece

if TYPE_CHECKING:
    from training.shards import Runs

Ids = NDArray[np.integer[Any]]


class Pairing(Protocol):
    """A way to make two segments of a run."""

    def __call__(
        self, runs: "Runs", number: int, rng: Generator, *, vocabulary: Vocabulary
    ) -> Pair:
        """Make segments A and B, and their label."""


PAIRINGS: dict[str, Pairing] = {"nsp": next_sentence, "sop": sentence_order}


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruption:
    """What is asked of a text: how tokens are chosen, at which rates, which pairs are made.

    `pairing` is nsp, sop or None. `duplicates` is None where each epoch corrupts a text anew, else
    the number of corruptions of it that epochs take in turn (BERT's dupe_factor).
    """

    masking: str = "token"
    rates: Rates = field(default_factory=Rates)
    pairing: str | None = None
    duplicates: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sequence:
    """One text as the model reads it, [length] each, and the label of its pair.

    A label is -100 where nothing is asked.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    segments: NDArray[np.int64]
    pair: int


class Sequences:
    """The sequences of some runs in the order of a seed, made where they are asked for.

    A position alone decides what stands there, so that neither resuming nor the number of processes
    changes it.
    """

    def __init__(
        self, runs: "Runs", vocabulary: Vocabulary, corruption: Corruption, seed: int
    ) -> None:
        """Order the runs.

        Raises:
            ClozeError: there is none.
        """
        self._runs = runs
        self._vocabulary = vocabulary
        self._order = Order(len(runs), seed)
        self._seed = seed
        self._duplicates = corruption.duplicates
        self._mask = partial(
            MASKINGS[corruption.masking], vocabulary=vocabulary, rates=corruption.rates
        )
        self._pair = PAIRINGS[corruption.pairing] if corruption.pairing else None
        self._special = special_tokens(corruption)

    @property
    def count(self) -> int:
        """Return the sequences of an epoch."""
        return self._order.count

    def lengths(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many tokens the sequences at some positions have at most."""
        return self._runs.lengths(self._order[positions]) + self._special

    def make(self, rows: list[list[Piece]]) -> list[list[Sequence]]:
        """Make the sequences of some rows, each cut at its end to its piece's length."""
        positions = np.array([piece.position for row in rows for piece in row], np.int64)
        numbers = iter(self._order[positions].tolist())
        return [[self._make(piece, next(numbers)) for piece in row] for row in rows]

    def _make(self, piece: Piece, number: int) -> Sequence:
        rng = self._generator(piece.position // self._order.count, number)
        a, b, label = self._segments(number, piece.length - self._special, rng)
        ids = self._framed(a, b)
        inputs, labels = self._mask(ids, self._vocabulary.starts_word[ids], rng)
        segments = np.zeros(len(ids), np.int64)
        segments[len(a) + 2 :] = 1
        return Sequence(ids=inputs, labels=labels, segments=segments, pair=label)

    def _generator(self, epoch: int, number: int) -> Generator:
        draw = epoch if self._duplicates is None else epoch % self._duplicates
        return Generator(Philox(key=[self._seed % 2**64, draw], counter=[0, 0, 0, number]))

    def _segments(self, number: int, room: int, rng: Generator) -> tuple[Ids, Ids | None, int]:
        """Return A and B, or one run alone, at most `room` tokens in all."""
        if self._pair is None:
            return self._runs[number].ids[:room], None, UNASKED
        pair = self._pair(self._runs, number, rng, vocabulary=self._vocabulary)
        a = pair.a[:room]
        return a, pair.b[: room - len(a)], pair.label if len(a) < room else UNASKED

    def _framed(self, a: Ids, b: Ids | None) -> NDArray[np.int64]:
        """Put the special tokens around the segments."""
        first, last = np.array([self._vocabulary.cls]), np.array([self._vocabulary.sep])
        parts: list[Ids] = [first, a, last] if b is None else [first, a, last, b, last]
        return np.concatenate(parts).astype(np.int64)


def special_tokens(corruption: Corruption) -> int:
    """Return how many special tokens frame a sequence."""
    return 3 if corruption.pairing else 2


def room_for(width: int, corruption: Corruption) -> int:
    """Return how many tokens of text a row has room for.

    Raises:
        ClozeError: no more than special tokens.
    """
    special = special_tokens(corruption)
    if width <= 2 * special:
        raise ClozeError(
            f"--length {width} leaves {max(0, width - special)} tokens beside {special} special "
            f"ones; give {2 * special + 1} or more (128 is usual)"
        )
    return width - special
