"""Sentence order prediction, ALBERT's second objective."""

from typing import TYPE_CHECKING, Any

from numpy.random import Generator
from numpy.typing import NDArray

from training.masking.vocabulary import Vocabulary
from training.objectives.pair import DOES_NOT, FOLLOWS, UNASKED, Pair, split_at, word_starts

if TYPE_CHECKING:
    from training.shards.runs import Run, Runs


def sentence_order(runs: "Runs", number: int, rng: Generator, *, vocabulary: Vocabulary) -> Pair:
    """Split the whole sentences of a run in two, and half the time swap the two.

    The loss is the cross-entropy of the label given the vector of [CLS], L = -log p(label | A, B)
    (Lan et al. 2020, ALBERT, section 3.1). Both parts are of one text, so topic doesn't tell; and
    parts of sentences at the run's ends are left out, and both end with a mark or both without one
    (as a title does), so that punctuation doesn't tell either. The label is unasked where the run
    can't be split so. A run inside of one sentence is split where a word begins.
    """
    run = runs[number]
    begin, end, places = _parts(run, vocabulary)
    marks = vocabulary.marks[run.ids]
    places = places[marks[places - 1] == marks[end - 1]]
    if not len(places):
        return Pair(a=run.ids, b=run.ids[:0], label=UNASKED)
    a, b = split_at(places, run.ids[:end], rng)
    a = a[begin:]
    if rng.random() < 0.5:
        return Pair(a=a, b=b, label=FOLLOWS)
    return Pair(a=b, b=a, label=DOES_NOT)


def _parts(run: "Run", vocabulary: Vocabulary) -> tuple[int, int, NDArray[Any]]:
    """Return where the whole sentences begin and end, and the places between where they part."""
    borders, length = run.borders, len(run.ids)
    if not (len(borders) or run.begins_sentence or run.ends_sentence):
        return 0, length, word_starts(run, vocabulary)
    first, last = int(not run.begins_sentence), len(borders) - int(not run.ends_sentence)
    begin = int(borders[0]) if first and len(borders) else 0
    end = int(borders[last]) if 0 <= last < len(borders) else length
    return begin, end, borders[first : max(first, last)]
