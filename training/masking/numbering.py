"""Which word each token of a row belongs to."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.masking.vocabulary import Vocabulary


def number_words(
    ids: NDArray[np.integer[Any]], starts: NDArray[np.bool_], vocabulary: Vocabulary
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the words of a row from 1, and count their tokens.

    A word is a start and the pieces after it. Pieces that stand first in the row or after a
    special token, as where a run was cut inside a word, are a word too; special tokens are none.

    Args:
        ids: token ids, [n].
        starts: whether a word begins at each place, [n]; what it says of special tokens is unread.
        vocabulary: says which ids are special.

    Returns:
        The number of each place's word, 0 for special tokens, [n]; the tokens of each number,
        [words + 1], 0 for number 0.
    """
    special = vocabulary.special[ids]  # [n]
    begins = starts.copy()
    begins[1:] |= special[:-1]
    begins[:1] = True
    begins[special] = False
    numbers = begins.cumsum()
    numbers[special] = 0
    lengths = np.bincount(numbers, minlength=1)
    lengths[0] = 0
    return numbers, lengths
