"""What the peers learn from: the same sequences as ours, each in a row of its own."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from training.masking import Vocabulary
from training.objectives.pair import UNASKED
from training.order import Order
from training.packing import Piece
from training.sequences import Corruption, Sequences, room_for
from training.shards import Runs, Shards

# As Hugging Face's collators take it: lists of numbers by name.
Example: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The text of a bench, and how it is cut, paired and ordered."""

    shards: Shards
    vocabulary: Vocabulary
    corruption: Corruption
    width: int
    seed: int

    def runs(self) -> Runs:
        """Return the runs that training sees."""
        return self.shards.runs(room_for(self.width, self.corruption))

    def sequences(self) -> Sequences:
        """Return the sequences of these runs."""
        return Sequences(self.runs(), self.vocabulary, self.corruption, self.seed)


def beginnings(source: Source, count: int) -> list[Example]:
    """Return documents truncated to the width: `count` of them, or all, in training's order."""
    runs, sequences = source.runs(), source.sequences()
    order = Order(len(runs), source.seed)[np.arange(len(runs))].tolist()
    found: list[Example] = []
    for position, number in enumerate(order):
        if _begins_document(runs, number):
            found.append(_example(source, sequences, position))
        if len(found) == count:
            break
    return found


def first_sequences(source: Source, tokens: int) -> list[Example]:
    """Return the first sequences of training's order, as many as have so many tokens."""
    sequences = source.sequences()
    found: list[Example] = []
    left = tokens
    while left > 0:
        found.append(_example(source, sequences, len(found)))
        left -= len(found[-1]["input_ids"])
    return found


def count_tokens(examples: list[Example]) -> int:
    """Return the tokens of some examples, special ones too."""
    return sum(len(example["input_ids"]) for example in examples)


def _begins_document(runs: Runs, number: int) -> bool:
    return number == 0 or runs[number - 1].document != runs[number].document


def _example(source: Source, sequences: Sequences, position: int) -> Example:
    """Make the sequence of a position without its masks, which the peer's collator draws."""
    length = int(sequences.lengths(np.array([position], np.int64))[0])
    ((made,),) = sequences.make([[Piece(position=position, length=length)]])
    ids = np.where(made.labels == UNASKED, made.ids, made.labels)
    example: Example = {
        "input_ids": ids.tolist(),
        "token_type_ids": made.segments.tolist(),
        # Without it the collator works this out in Python, which takes long.
        "special_tokens_mask": source.vocabulary.special[ids].astype(np.int64).tolist(),
    }
    if source.corruption.pairing:
        example["next_sentence_label"] = made.pair
    return example
