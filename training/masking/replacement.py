"""What stands in the place of chosen tokens, and what is asked for there."""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.masking.rates import Rates
from training.masking.vocabulary import Vocabulary

UNASKED = -100
# The fate of a token that isn't chosen; the chosen have one below 1.
SPARED = 2.0


def replace(
    ids: NDArray[np.integer[Any]],
    fates: NDArray[np.float64],
    rng: Generator,
    *,
    vocabulary: Vocabulary,
    rates: Rates,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corrupt the chosen places of a copy of `ids`, and label them with what they held.

    Random tokens are drawn evenly from those that aren't special, each for itself.

    Args:
        ids: token ids, [n].
        fates: for chosen places a uniform draw from [0, 1), the same where they share a fate, and
            `SPARED` for all others, [n].
        rng: draws the random tokens.
        vocabulary: of these ids.
        rates: below `masked` a fate is [MASK], in the next `random` another token.

    Returns:
        Inputs and labels, [n] each, int64; a label is -100 where nothing is asked.
    """
    inputs = ids.astype(np.int64)
    labels = np.where(fates < 1, inputs, UNASKED)
    masked = fates < rates.masked
    changed = fates < rates.masked + rates.random
    inputs[masked] = vocabulary.mask
    others = (changed ^ masked).nonzero()[0]
    # They are few: one by one takes a quarter of the time of rng.integers.
    count = len(vocabulary.ordinary)
    for place, draw in zip(others.tolist(), rng.random(len(others)).tolist(), strict=True):
        inputs[place] = vocabulary.ordinary[int(draw * count)]
    return inputs, labels
