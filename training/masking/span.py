"""Masking of spans of words, as SpanBERT was pretrained."""

from bisect import bisect
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.masking.budget import draw_budget
from training.masking.numbering import number_words
from training.masking.rates import Rates
from training.masking.replacement import SPARED, replace
from training.masking.vocabulary import Vocabulary

STOPPING = 0.2
MOST_WORDS = 10
# P(length <= k) of a geometric distribution, renormalised on 1 to MOST_WORDS.
_UP_TO = [
    (1 - (1 - STOPPING) ** words) / (1 - (1 - STOPPING) ** MOST_WORDS)
    for words in range(1, MOST_WORDS)
]


def span_length(draw: float) -> int:
    """Turn a uniform draw from [0, 1) into words of a span, from 1 to 10 with a mean of 3.8.

    P(k) = p (1 - p)^(k - 1) / (1 - (1 - p)^10), p = 0.2.
    """
    return bisect(_UP_TO, draw) + 1


def mask_spans(
    ids: NDArray[np.integer[Any]],
    starts: NDArray[np.bool_],
    rng: Generator,
    *,
    vocabulary: Vocabulary,
    rates: Rates,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose spans of whole words until the share of tokens is reached; one fate a span.

    A span's length is drawn first, then its start among the words where that length fits (Joshi
    et al. 2020, SpanBERT, section 3.1). One that lies over a special token or touches another span
    is passed over, so that the two tokens beside a span can always be seen; one that goes beyond
    the share is cut to the words that don't. Where no word would fit, one is taken all the same.
    Shares above about a half may not be reached.

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
    spans = _draw_spans(numbers, lengths, budget, rng) if budget else []
    fates = np.full(len(lengths), SPARED)  # [words + 1]
    for (first, last), fate in zip(spans, rng.random(len(spans)).tolist(), strict=True):
        fates[first : last + 1] = fate
    return replace(ids, fates[numbers], rng, vocabulary=vocabulary, rates=rates)


def _draw_spans(
    numbers: NDArray[np.int64], lengths: NDArray[np.int64], budget: int, rng: Generator
) -> list[tuple[int, int]]:
    """Draw the first and last words of spans until the budget is spent or the draws are."""
    words = len(lengths) - 1
    up_to = lengths.cumsum().tolist()  # tokens up to the end of each word
    apart = _after_special(numbers, words)
    taken = bytearray(words + 2)
    spans = []
    left = budget
    # Far more draws than are needed, since a span is nearly four words.
    for draw, place in rng.random((2 * budget + 8, 2)).tolist():
        length = min(span_length(draw), words)
        first = 1 + int(place * (words - length + 1))
        last = first + length - 1
        while up_to[last] - up_to[first - 1] > left:
            last -= 1
        if (
            last < first
            or apart.find(1, first + 1, last + 1) >= 0
            or taken.find(1, first - 1, last + 2) >= 0
        ):
            continue
        taken[first : last + 1] = b"\1" * (last - first + 1)
        spans.append((first, last))
        left -= up_to[last] - up_to[first - 1]
        if not left:
            break
    return spans or [_one_word(lengths, budget, rng)]


def _one_word(lengths: NDArray[np.int64], budget: int, rng: Generator) -> tuple[int, int]:
    """Draw one of the words that fit into the budget, or of all where none does."""
    fitting = (lengths[1:] <= budget).nonzero()[0] + 1
    word = int(rng.integers(len(lengths) - 1)) + 1
    if len(fitting):
        word = int(fitting[rng.integers(len(fitting))])
    return word, word


def _after_special(numbers: NDArray[np.int64], words: int) -> bytearray:
    """Flag the words, by number, that have a special token before them."""
    flags = bytearray(words + 1)
    for word in numbers[1:][numbers[:-1] == 0].tolist():
        flags[word] = 1
    return flags
