"""Masking of whole words."""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.masking.budget import draw_budget
from training.masking.numbering import number_words
from training.masking.rates import Rates
from training.masking.replacement import SPARED, replace
from training.masking.vocabulary import Vocabulary


def mask_words(
    ids: NDArray[np.integer[Any]],
    starts: NDArray[np.bool_],
    rng: Generator,
    *,
    vocabulary: Vocabulary,
    rates: Rates,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose whole words in random order until the share of tokens is reached; one fate a word.

    A word that would go beyond the share is passed over; only where every word would, one is
    taken all the same (after the whole word masking that the authors of Devlin et al. 2019
    added to BERT in May 2019).

    Args:
        ids: token ids, [n].
        starts: whether a word begins at each place, [n].
        rng: the only source of chance.
        vocabulary: of these ids.
        rates: how many tokens are chosen, and what becomes of them.

    Returns:
        Inputs and labels, [n] each, int64; a label is -100 where nothing is asked.
    """
    numbers, lengths = number_words(ids, starts, vocabulary)
    budget = draw_budget(int(lengths.sum()), rates.chosen, rng)
    order = rng.permutation(len(lengths) - 1) + 1
    chosen = order[_within(lengths[order].tolist(), budget)]
    fates = np.full(len(lengths), SPARED)  # [words + 1]
    fates[chosen] = rng.random(len(chosen))
    return replace(ids, fates[numbers], rng, vocabulary=vocabulary, rates=rates)


def _within(lengths: list[int], budget: int) -> list[int]:
    """Take from the front what fits into the budget, and at least one unless it is nothing."""
    left = budget
    taken = []
    for place, length in enumerate(lengths):
        if not left:
            break
        if length <= left:
            taken.append(place)
            left -= length
    return taken or [0] * min(budget, 1)
