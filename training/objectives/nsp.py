"""Next sentence prediction, BERT's second objective."""

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from indexer.errors import ClozeError
from training.masking.vocabulary import Vocabulary
from training.objectives.pair import DOES_NOT, FOLLOWS, UNASKED, Pair, split_at, word_starts

if TYPE_CHECKING:
    from training.shards.runs import Run, Runs

# So many runs are looked at for a stretch that begins and ends as what it stands for.
_TRIES = 8


def next_sentence(runs: "Runs", number: int, rng: Generator, *, vocabulary: Vocabulary) -> Pair:
    """Split a run in two, and half the time put a stretch of another document in the second place.

    The loss is the cross-entropy of the label given the vector of [CLS], L = -log p(label | A, B)
    (Devlin et al. 2019, section 3.1). That stretch begins and ends as what it stands for: at a
    border of sentences or inside of one, with a mark or without. It is the longest such in its run,
    at most as long as what it stands for, so that neither length nor punctuation tells the label.

    Raises:
        ClozeError: all runs are of one document.
    """
    run = runs[number]
    by_sentence = bool(len(run.borders))
    places = run.borders if by_sentence else word_starts(run, vocabulary)
    if not len(places):
        return Pair(a=run.ids, b=run.ids[:0], label=UNASKED)
    a, b = split_at(places, run.ids, rng)
    if rng.random() < 0.5:
        return Pair(a=a, b=b, label=FOLLOWS)
    for _ in range(_TRIES):
        other = _of_another_document(runs, run.document, rng)
        starts = _edges(other, begin=True) if by_sentence else word_starts(other, vocabulary)
        stops = _stops(other, run.ends_sentence)
        stops = stops[vocabulary.marks[other.ids[stops - 1]] == vocabulary.marks[b[-1]]]
        found = _longest(other.ids, starts, stops, len(b), rng)
        if len(found):
            return Pair(a=a, b=found, label=DOES_NOT)
    return Pair(a=a, b=other.ids[: len(b)], label=DOES_NOT)


def _edges(run: "Run", *, begin: bool) -> NDArray[np.int64]:
    """Return where sentences begin in a run, or where they end."""
    if begin:
        return np.concatenate([[0], run.borders]) if run.begins_sentence else run.borders
    return np.append(run.borders, len(run.ids)) if run.ends_sentence else run.borders


def _stops(run: "Run", at_border: bool) -> NDArray[np.int64]:
    """Return where a stretch may end: where a sentence does, or everywhere else."""
    edges = _edges(run, begin=False)
    if at_border:
        return edges
    allowed = np.ones(len(run.ids) + 1, np.bool_)
    allowed[edges] = allowed[0] = False
    return allowed.nonzero()[0]


def _longest(
    ids: NDArray[Any],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    room: int,
    rng: Generator,
) -> NDArray[Any]:
    """Return a longest stretch that has room, from one of the starts to one of the stops."""
    if not len(starts) or not len(stops):
        return ids[:0]
    ends = stops[np.maximum(stops.searchsorted(starts + room, side="right") - 1, 0)]
    lengths = np.where(ends <= starts + room, ends - starts, 0)
    longest = int(lengths.max())
    if longest < 1:
        return ids[:0]
    start = rng.choice((lengths == longest).nonzero()[0])
    return ids[starts[start] : starts[start] + longest]


def _of_another_document(runs: "Runs", document: int, rng: Generator) -> "Run":
    """Draw evenly among the runs of other documents."""
    run = runs[int(rng.integers(len(runs)))]
    if run.document != document:
        return run
    # Rather than draw again, for a long time where one document is nearly all the text: runs are
    # in their documents' order.
    first, end = (
        bisect_left(range(len(runs)), wanted, key=lambda number: runs[number].document)
        for wanted in (document, document + 1)
    )
    if end - first == len(runs):
        raise ClozeError(
            f"next sentence prediction (nsp) needs two documents, and the text is {len(runs)} "
            "stretches of one; give more texts, or train with mlm or mlm+sop"
        )
    drawn = int(rng.integers(len(runs) - (end - first)))
    return runs[drawn if drawn < first else drawn + end - first]
