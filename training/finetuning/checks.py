"""Whether examples serve a plan of fine-tuning, whatever it makes of them."""

from collections.abc import Sequence

from indexer.errors import ClozeError
from training.loop.parts import Part
from training.pairs.example import Example
from training.pairs.report import shortened

_SHOWN = 60


def check_counts(
    train: Sequence[Example], held_out: Sequence[Example], *, batch: int, least: int, part: Part
) -> None:
    """Check that there are examples for a batch, which all processes share, and some held out.

    `least` are the fewest held out that can be judged on.

    Raises:
        ClozeError: it is not so.
    """
    if not held_out:
        raise ClozeError(
            f"no query is held out of {len(train):,}, and the best weights are chosen by those; "
            f"give --held-out {least} or more"
        )
    if batch > len(train):
        raise ClozeError(
            f"--batch is {batch} and there are {len(train):,} examples to train on; give at most "
            "that, or more pairs"
        )
    if batch < part.world:
        raise ClozeError(
            f"--batch is {batch} and {part.world} processes share it; give at least that"
        )


def check_taught(train: Sequence[Example], *, loss: str, otherwise: str) -> None:
    """Check that a teacher has scored all examples, and that each has negatives.

    Raises:
        ClozeError: it is not so; the line tells which loss to choose `otherwise`.
    """
    lacking = [each for each in train if each.scores is None or not each.negatives]
    if lacking:
        first = shortened(lacking[0].query, _SHOWN)
        raise ClozeError(
            f"--loss {loss} learns a teacher's scores of positives and negatives, and "
            f"{len(lacking):,} of {len(train):,} examples lack them, {first!r} the first; write "
            f"them with cloze mine --label, or choose {otherwise}"
        )
