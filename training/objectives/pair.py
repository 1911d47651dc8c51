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


def split(run: "Run", rng: Generator, vocabulary: Vocabulary) -> tuple[Any, Any]:
    """Split a run's ids at a random border of sentences, else at a random start of a word.

    The second part is empty where the run is a single word.
    """
    borders = run.borders
    if not len(borders):
        borders = vocabulary.starts_word[run.ids[1:]].nonzero()[0] + 1
    if not len(borders):
        return run.ids, run.ids[:0]
    border = borders[rng.integers(len(borders))]
    return run.ids[:border], run.ids[border:]
