"""The meaning of a metadata filter over one document in memory, the same as over the store."""

from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt
from typing import Any, TypeAlias

from indexer.filters.facets import facets, typed
from indexer.filters.tree import And, Comparison, Filter, FilterError, Not, Or, unknown

# A document's values of the fields that a filter names, each with its kind.
_Values: TypeAlias = Mapping[str, set[tuple[int, Any]]]
_Test: TypeAlias = Callable[[_Values], bool]

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": eq,
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
    "prefix": str.startswith,
}
_REMEMBERED = 1_000  # names of fields kept for the message about an unknown one


class Evaluation:
    """Tell of one document after another whether a filter passes it."""

    def __init__(self, filter: Filter) -> None:
        """Prepare the filter; `in` lists become sets."""
        self._missing: set[str] = set()
        self._names: set[str] = set()
        self._test = self._prepare(filter)
        self._wanted = frozenset(self._missing)

    def passes(self, metadata: Mapping[str, Any]) -> bool:
        """Tell whether the filter passes a document with this metadata.

        What is not JSON, or not a number, is a ClozeError, as it is in the store.
        """
        values: dict[str, set[tuple[int, Any]]] = {}
        for field, kind, value in facets(metadata):
            if field in self._wanted:
                values.setdefault(field, set()).add((kind, value))
            elif len(self._names) < _REMEMBERED:
                self._names.add(field)
        self._missing.difference_update(values)
        return self._test(values)

    def check_fields(self) -> None:
        """Raise FilterError if the filter names a field that no document so far has."""
        for field in sorted(self._missing):
            raise FilterError(unknown("field", field, self._names | (self._wanted - self._missing)))

    def _prepare(self, filter: Filter) -> _Test:
        match filter:
            case And(parts):
                tests = [self._prepare(part) for part in parts]
                return lambda values: all(test(values) for test in tests)
            case Or(parts):
                tests = [self._prepare(part) for part in parts]
                return lambda values: any(test(values) for test in tests)
            case Not(part):
                negated = self._prepare(part)
                return lambda values: not negated(values)
            case Comparison(field):
                self._missing.add(field)
                return _comparison(filter)


def _comparison(comparison: Comparison) -> _Test:
    field, operator, wanted = comparison.field, comparison.operator, comparison.value
    if operator == "exists":
        return lambda values: (field in values) == wanted
    if operator == "in":
        # Within a pair, 1 equals 1.0 as it does in the store, and kinds keep 1 from true.
        members = {typed(value, field) for value in wanted}
        return lambda values: not members.isdisjoint(values.get(field, ()))
    kind, bound = typed(wanted, field)
    compare = _COMPARE[operator]
    return lambda values: any(
        its_kind == kind and compare(value, bound) for its_kind, value in values.get(field, ())
    )
