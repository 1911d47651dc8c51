"""Two stretches of tokens and how they hang together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.masking.vocabulary import Vocabulary

if TYPE_CHECKING:
    from training.shards.runs import Run

# Labels as in Hugging Face's BertForPreTraining and AlbertForPreTraining.
FOLLOWS = 0
DOES_NOT = 1
UNASKED = -100


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pair:
    """Segments A and B, without special tokens, and the label of the two.

    The label is 0 where B follows A and 1 where it doesn't; -100, which no loss counts, where the
    text was too short to be split, and then B is empty.
    """

    a: NDArray[np.integer[Any]]
    b: NDArray[np.integer[Any]]
    label: int


def word_starts(run: "Run", vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Return the places inside a run where a word begins, ascending, never 0."""
    return vocabulary.starts_word[run.ids[1:]].nonzero()[0] + 1


def split_at(places: NDArray[np.int64], ids: NDArray[Any], rng: Generator) -> tuple[Any, Any]:
    """Split ids at one of some places, each as likely."""
    place = places[rng.integers(len(places))]
    return ids[:place], ids[place:]
