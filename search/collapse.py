"""Near-duplicates folded into the best document of their kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from indexer.near_duplicates import representatives

# Read beyond the page at first, so that some duplicates don't ask for another reading.
_SLACK = 16

Sketches = Callable[[Sequence[int]], Mapping[int, bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapsed:
    """Rows of a ranking of which no two are near-duplicates, and the rows folded into each."""

    rows: list[int]
    duplicates: Mapping[int, list[int]] = field(default_factory=dict)


def collapse(ranked: Sequence[int], wanted: int, sketches: Sketches) -> Collapsed:
    """Keep the first `wanted` of ranked documents that are no near-duplicates of one kept before.

    What is kept, and folded into what, depends only on the documents before: so a longer list only
    adds to a shorter one. Sketches are read in doubling lengths until there are enough.
    """
    length = wanted + _SLACK
    while True:
        known = sketches(ranked[:length])
        first = representatives([known.get(number) for number in ranked[:length]])
        kept = sum(row == own for row, own in enumerate(first))
        if kept >= wanted or length >= len(ranked):
            return _folded(first, wanted)
        length *= 2


def _folded(first: Sequence[int], wanted: int) -> Collapsed:
    """Take rows until the page is full; what comes after its last one is not looked at."""
    rows: list[int] = []
    duplicates: dict[int, list[int]] = {}
    for row, own in enumerate(first):
        if len(rows) == wanted:
            break
        if row == own:
            rows.append(row)
        else:
            duplicates.setdefault(own, []).append(row)
    return Collapsed(rows=rows, duplicates=duplicates)
