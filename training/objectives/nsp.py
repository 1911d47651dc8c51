"""Next sentence prediction, BERT's second objective."""

from bisect import bisect_left
from typing import TYPE_CHECKING

from numpy.random import Generator

from indexer.errors import ClozeError
from training.masking.vocabulary import Vocabulary
from training.objectives.pair import DOES_NOT, FOLLOWS, UNASKED, Pair, split

if TYPE_CHECKING:
    from training.shards.runs import Run, Runs


def next_sentence(runs: "Runs", number: int, rng: Generator, *, vocabulary: Vocabulary) -> Pair:
    """Split a run in two, and half the time put a stretch of another document in the second place.

    The loss is the cross-entropy of the label given the vector of [CLS], L = -log p(label | A, B)
    (Devlin et al. 2019, section 3.1). That stretch begins with a sentence and is as long as what
    it stands for wherever its run has as much, so that the length doesn't tell the label; it is
    never longer.

    Raises:
        ClozeError: all runs are of one document.
    """
    run = runs[number]
    a, b = split(run, rng, vocabulary)
    if not len(b):
        return Pair(a=a, b=b, label=UNASKED)
    if rng.random() < 0.5:
        return Pair(a=a, b=b, label=FOLLOWS)
    other = _of_another_document(runs, run.document, rng)
    begin = _begin(other, len(b), rng)
    return Pair(a=a, b=other.ids[begin : begin + len(b)], label=DOES_NOT)


def _begin(run: "Run", length: int, rng: Generator) -> int:
    """Choose where a sentence begins that has `length` tokens from there on, else the front."""
    enough = int(run.borders.searchsorted(len(run.ids) - length, side="right"))
    chosen = int(rng.integers(enough + 1))
    return int(run.borders[chosen - 1]) if chosen else 0


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
