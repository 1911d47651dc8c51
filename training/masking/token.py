"""Masking of single tokens, as BERT was pretrained first."""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.masking.budget import draw_budget
from training.masking.rates import Rates
from training.masking.replacement import SPARED, replace
from training.masking.vocabulary import Vocabulary


def mask_tokens(
    ids: NDArray[np.integer[Any]],
    starts: NDArray[np.bool_],
    rng: Generator,
    *,
    vocabulary: Vocabulary,
    rates: Rates,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose tokens evenly among those that aren't special; each has a fate of its own.

    Exactly the share of `rates` is chosen on average, and each time within one token of it
    (Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, section 3.1).

    Args:
        ids: token ids, [n].
        starts: unread; other maskings look at words.
        rng: the only source of chance.
        vocabulary: of these ids.
        rates: how many are chosen, and what becomes of them.

    Returns:
        Inputs and labels, [n] each, int64; a label is -100 where nothing is asked.
    """
    places = (~vocabulary.special[ids]).nonzero()[0]
    budget = draw_budget(len(places), rates.chosen, rng)
    fates = np.full(len(ids), SPARED)
    fates[rng.permutation(places)[:budget]] = rng.random(budget)
    return replace(ids, fates, rng, vocabulary=vocabulary, rates=rates)
