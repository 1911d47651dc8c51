"""The documents that a metadata filter selects, as ascending arrays of distinct numbers.

SQLite reads the facets of each comparison and numpy joins them: at a million documents that is an
order of magnitude faster than SQLite's own INTERSECT and EXCEPT, which build a tree row by row.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.filters.tree import And, Comparison, Filter, Not, Or

Numbers: TypeAlias = NDArray[np.int64]

_NONE = np.empty(0, dtype=np.int64)
_MERGE_AT = 4_000_000  # numbers that an `or` holds before it merges them
_KEPT = 8_000_000  # numbers of all remembered selections: 64 MB
_ENTRY = 64  # numbers that take the room of a selection's key and array


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a selection comes from.

    `matches` gives the documents with a facet that a comparison matches (`exists` read as true),
    and may give others than `everything` has, which are all that count. Both as ascending distinct
    numbers.
    """

    matches: Callable[[Comparison], Numbers]
    everything: Callable[[], Numbers]


def select(filter: Filter, source: Source) -> Numbers:
    """Return the documents that a filter passes, and perhaps some that don't count."""
    match filter:
        case Not() | Comparison(operator="exists"):
            return _all_of((filter,), source)
        case And(parts):
            return _all_of(parts, source)
        case Or(parts):
            return _any_of((select(part, source) for part in parts), source)
        case Comparison():
            return source.matches(filter)


def ascending(numbers: Numbers) -> Numbers:
    """Return numbers in order, each once."""
    if not _is_ascending(numbers).all():
        # Not numpy's unique, which goes through a hash table: 50 times slower at 500,000.
        numbers = np.sort(numbers)
        numbers = numbers[np.concatenate([[True], _is_ascending(numbers)])]
    return numbers


def without(numbers: Numbers, others: Numbers) -> Numbers:
    """Return the numbers that are not among others; both ascending."""
    if not len(others):
        return numbers
    return numbers[np.isin(numbers, others, assume_unique=True, invert=True)]


def _is_ascending(numbers: Numbers) -> NDArray[np.bool_]:
    risen: NDArray[np.bool_] = numbers[1:] > numbers[:-1]
    return risen


def _all_of(parts: tuple[Filter, ...], source: Source) -> Numbers:
    """Intersect what must hold, then take away what must not."""
    sided = [_polarity(part) for part in parts]
    needed = [part for part, holds in sided if holds]
    banned = [part for part, holds in sided if not holds]
    found = _affirmed(needed[0], source) if needed else source.everything()
    for part in needed[1:]:
        if len(found):
            found = found[np.isin(found, _affirmed(part, source), assume_unique=True)]
    for part in banned:
        if len(found):
            found = without(found, _affirmed(part, source))
    return found


def _any_of(selected: Iterator[Numbers], source: Source) -> Numbers:
    """Unite, holding no more than a few million numbers that may repeat."""
    union, pending, held = _NONE, list[Numbers](), 0
    for numbers in selected:
        pending.append(numbers)
        held += len(numbers)
        if held > _MERGE_AT:
            union, pending, held = ascending(np.concatenate([union, *pending])), [], 0
            if not len(without(source.everything(), union)):
                return union
    return ascending(np.concatenate([union, *pending]))


def _polarity(filter: Filter) -> tuple[Filter, bool]:
    """Return what lies below the negations of a filter, and whether it must hold."""
    holds = True
    while isinstance(filter, Not):
        filter, holds = filter.part, not holds
    if isinstance(filter, Comparison) and filter.operator == "exists":
        return filter, holds == filter.value
    return filter, holds


def _affirmed(filter: Filter, source: Source) -> Numbers:
    """Select by a filter below its negations, where `exists` false is read as true."""
    return source.matches(filter) if isinstance(filter, Comparison) else select(filter, source)


class Remembered:
    """The selections last used of one state, as many as fit into a bounded memory, one at least."""

    def __init__(self, kept: int = _KEPT) -> None:
        """Remember at most `kept` document numbers, where each selection counts as 64 more."""
        self._kept = kept
        self._held = 0
        self._state: Hashable = None
        self._selections: OrderedDict[Hashable, Numbers] = OrderedDict()

    def get(self, state: Hashable, what: Hashable, make: Callable[[], Numbers]) -> Numbers:
        """Return what was made in a state, making it where it isn't remembered; read-only.

        All that was made in another state is forgotten.
        """
        if state != self._state:
            self._selections.clear()
            self._state, self._held = state, 0
        # With its state, since making one may meet the next.
        key = (state, what)
        if key in self._selections:
            self._selections.move_to_end(key)
            return self._selections[key]
        made = make()
        made.flags.writeable = False
        self._selections[key] = made
        self._held += len(made) + _ENTRY
        while self._held > self._kept and len(self._selections) > 1:
            self._held -= len(self._selections.popitem(last=False)[1]) + _ENTRY
        return made
