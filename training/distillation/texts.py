"""What a student reads: stretches of documents, long ones as passages, short ones as queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.masking import Vocabulary
from training.order import Order

if TYPE_CHECKING:
    from training.shards import Runs, Shards

# Tokens of a short text, special ones included: as many as a query has.
SHORT = 24
_SPECIAL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenText:
    """A text's tokens with special ones, and their segments."""

    ids: list[int]
    type_ids: list[int]

    def __len__(self) -> int:
        """Return how many tokens there are."""
        return len(self.ids)


class Stretches:
    """Texts of one length without end: the runs of some documents in the order of a seed."""

    def __init__(self, runs: "Runs", vocabulary: Vocabulary, seed: int) -> None:
        """Order the runs.

        Raises:
            ClozeError: there is none.
        """
        self._runs = runs
        self._order = Order(len(runs), seed)
        self._vocabulary = vocabulary

    @property
    def count(self) -> int:
        """Return how many there are before they come again."""
        return self._order.count

    def __getitem__(self, positions: Sequence[int]) -> list[TokenText]:
        """Return the texts at some positions."""
        numbers = self._order[np.asarray(positions, np.int64)]
        return [self._framed(self._runs[number].ids.tolist()) for number in numbers.tolist()]

    def _framed(self, ids: list[int]) -> TokenText:
        framed = [self._vocabulary.cls, *ids, self._vocabulary.sep]
        return TokenText(ids=framed, type_ids=[0] * len(framed))


class Texts:
    """Long and short texts in turn; a position alone decides what stands there."""

    def __init__(
        self, shards: "Shards", vocabulary: Vocabulary, length: int, seed: int, *,
        held_out: bool = False,
    ) -> None:  # fmt: skip
        """Cut documents into texts of at most `length` tokens, and again into short ones.

        Raises:
            ClozeError: there is no text.
        """
        self._kinds = [
            Stretches(shards.runs(room - _SPECIAL, held_out=held_out), vocabulary, seed)
            for room in (length, min(SHORT, length))
        ]

    @property
    def count(self) -> int:
        """Return how many texts there are before the first comes again."""
        return 2 * min(each.count for each in self._kinds)

    def take(self, position: int, count: int) -> list[TokenText]:
        """Return the texts from a position on: at even ones the long, at odd ones the short."""
        places = range(position, position + count)
        long, short = (
            iter(kind[[place // 2 for place in places if place % 2 == parity]])
            for parity, kind in enumerate(self._kinds)
        )
        return [next(short) if place % 2 else next(long) for place in places]
