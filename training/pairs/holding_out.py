"""Examples held out of training, to validate on: chosen by the query's text, nothing shared."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from indexer.errors import ClozeError
from training.pairs.example import Example
from training.pairs.identity import digest, identity
from training.pairs.reading import Pairs


def hold_out(pairs: Pairs, count: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Split examples into those to train on and `count` held out, both in their order.

    Held out are the queries of the least `identity`, so that other queries of the file don't change
    which of two comes first. From the rest each positive that one of them has is taken, with its
    score, and an example that has no other is dropped; `left_out` counts both. Where pairs are of
    the same kind on both sides, a query held out is no positive there, nor its positive a query.

    Raises:
        ClozeError: nothing would be left to train on.
    """
    examples = pairs.examples
    if count <= 0:
        return examples, ()
    if count >= len(examples):
        raise ClozeError(
            f"{count:,} queries are to be held out of {len(examples):,}; hold out fewer with "
            "--held-out, or add pairs"
        )
    chosen = sorted(range(len(examples)), key=lambda place: identity(examples[place].query))
    places = set(chosen[:count])
    held_out = tuple(each for place, each in enumerate(examples) if place in places)
    closed = {digest(text) for each in held_out for text in (each.query, *each.positives)}
    rest = (each for place, each in enumerate(examples) if place not in places)
    train = tuple(kept for each in rest if (kept := _without(each, closed)) is not None)
    if not train:
        raise ClozeError(
            f"every positive is one of the {count:,} queries held out, so none is left to train "
            "on; hold out fewer with --held-out, or add pairs"
        )
    return train, held_out


def left_out(
    pairs: Pairs, train: Sequence[Example], held_out: Sequence[Example]
) -> Mapping[str, int]:
    """Count what `hold_out` left out: whole examples, and positives, those of examples included."""
    parts = (*train, *held_out)
    before = sum(len(example.positives) for example in pairs.examples)
    return {
        "examples": len(pairs.examples) - len(parts),
        "positives": before - sum(len(example.positives) for example in parts),
    }


def _without(example: Example, closed: Set[bytes]) -> Example | None:
    """Return an example without some positives, None where it has no other or asks by such."""
    if digest(example.query) in closed:
        return None
    open_ = [place for place, text in enumerate(example.positives) if digest(text) not in closed]
    if len(open_) == len(example.positives):
        return example
    if not open_:
        return None
    scores = example.scores
    if scores is not None:
        behind = scores[len(example.positives) :]
        scores = (*(scores[place] for place in open_), *behind)
    return replace(
        example, positives=tuple(example.positives[place] for place in open_), scores=scores
    )
