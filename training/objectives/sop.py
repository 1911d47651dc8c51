"""Sentence order prediction, ALBERT's second objective."""

from typing import TYPE_CHECKING

from numpy.random import Generator

from training.masking.vocabulary import Vocabulary
from training.objectives.pair import DOES_NOT, FOLLOWS, UNASKED, Pair, split

if TYPE_CHECKING:
    from training.shards.runs import Runs


def sentence_order(runs: "Runs", number: int, rng: Generator, *, vocabulary: Vocabulary) -> Pair:
    """Split a run in two, and half the time swap the two.

    The loss is the cross-entropy of the label given the vector of [CLS], L = -log p(label | A, B)
    (Lan et al. 2020, ALBERT, section 3.1). Both parts are of one text, so topic doesn't tell.
    """
    a, b = split(runs[number], rng, vocabulary)
    if not len(b):
        return Pair(a=a, b=b, label=UNASKED)
    if rng.random() < 0.5:
        return Pair(a=a, b=b, label=FOLLOWS)
    return Pair(a=b, b=a, label=DOES_NOT)
