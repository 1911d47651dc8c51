"""What a filter asks of fields whose values are of another kind, and so can never find."""

from collections.abc import Callable, Iterator
from itertools import islice

from indexer.filters.facets import BOOLEAN, KIND_NAMES, NULL, NUMBER, STRING, typed
from indexer.filters.tree import And, Comparison, Filter, Not, Or, Scalar, shorten

_MOST = 5


def comparisons(filter: Filter) -> Iterator[Comparison]:
    """Yield every comparison of a filter, from left to right."""
    match filter:
        case And(parts) | Or(parts):
            for part in parts:
                yield from comparisons(part)
        case Not(part):
            yield from comparisons(part)
        case Comparison():
            yield filter


def misfits(filter: Filter, kinds: Callable[[str], frozenset[int]]) -> list[str]:
    """Return a line for each value of a kind that no document has in its field, five at most.

    `kinds` gives the kinds of the values that documents have in a field; none is another mistake,
    which `Selections.matching` tells. To ask for null where there is none is no mistake.
    """
    return list(islice(_misfits(filter, kinds), _MOST))


def _misfits(filter: Filter, kinds: Callable[[str], frozenset[int]]) -> Iterator[str]:
    found: dict[str, frozenset[int]] = {}
    told = set()
    for comparison in comparisons(filter):
        field, value = comparison.field, comparison.value
        if comparison.operator == "exists":
            continue
        if field not in found:
            found[field] = kinds(field)
        for one in value if comparison.operator == "in" else (value,):
            kind, _ = typed(one, field)
            fits = kind == NULL or kind in found[field] or not found[field]
            if not fits and (field, kind) not in told:
                told.add((field, kind))
                yield _line(field, found[field], kind, one)


def _line(field: str, present: frozenset[int], kind: int, value: Scalar) -> str:
    written = shorten(value) if isinstance(value, str) else _LITERALS.get(kind, str)(value)
    holds = " and ".join(f"{KIND_NAMES[one]}s" for one in sorted(present))
    return (
        f"field {shorten(field)} holds {holds}, never a {KIND_NAMES[kind]}: the filter's {written} "
        f"matches no document{_advice(present, kind, value)}"
    )


_LITERALS: dict[int, Callable[[object], str]] = {BOOLEAN: lambda value: str(value).lower()}


def _advice(present: frozenset[int], kind: int, value: Scalar) -> str:
    if kind != STRING:
        return "; put it in quotes" if STRING in present else ""
    if BOOLEAN in present and str(value).lower() in ("true", "false"):
        return "; write it without quotes"
    return "; write it without quotes" if NUMBER in present and _is_number(str(value)) else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
