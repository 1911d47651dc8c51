"""Flatten a document's metadata to the facets that filters look up."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from indexer.errors import ClozeError

NULL, BOOLEAN, NUMBER, STRING = range(4)
KIND_NAMES = ("null", "boolean", "number", "string")
_INT64 = range(-(2**63), 2**63)
# Field, kind and value.
Facet: TypeAlias = tuple[str, int, int | float | str]


def facets(metadata: Mapping[str, Any]) -> Iterator[Facet]:
    """Yield the distinct (field, kind, value) of metadata of JSON values.

    Nested objects are flattened with dots ({"a": {"b": 1}} is field a.b), a list gives a facet for
    each element, an empty list or object gives none. Null is 0 of kind NULL, a boolean 0 or 1. A
    value that is not JSON, or not a number, is a ClozeError.
    """
    seen = set()
    # Not a recursive function: metadata may be nested deeper than Python's stack.
    pending: list[tuple[str, Any]] = [(storable(key), value) for key, value in metadata.items()]
    while pending:
        field, value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend((f"{field}.{storable(key)}", inner) for key, inner in value.items())
        elif isinstance(value, list | tuple):
            pending.extend((field, element) for element in value)
        else:
            facet = (field, *typed(value, field))
            if facet not in seen:
                seen.add(facet)
                yield facet


def typed(value: object, field: str) -> tuple[int, int | float | str]:
    """Return the kind of a scalar and the value that the store holds for it."""
    if value is None:
        return NULL, 0
    if isinstance(value, bool):
        return BOOLEAN, int(value)
    if isinstance(value, int | float):
        return NUMBER, _number(value, field)
    if isinstance(value, str):
        return STRING, storable(value)
    raise ClozeError(
        f"metadata field {field!r} holds a {type(value).__name__}: use a string, number, boolean, "
        "null, list or object"
    )


def restored(kind: int, value: int | float | str) -> str | int | float | bool | None:
    """Return the scalar that the store holds as a value of a kind; JSON has no infinity."""
    if kind == NULL:
        return None
    if value in (float("inf"), float("-inf")):
        return sys.float_info.max if value == float("inf") else -sys.float_info.max
    return bool(value) if kind == BOOLEAN else value


def _number(value: int | float, field: str) -> int | float:
    """Return an integer of 64 bits where the value is one, a float elsewhere."""
    if value != value:
        raise ClozeError(
            f"metadata field {field!r} holds NaN, which compares with nothing: use null"
        )
    if isinstance(value, int):
        if value in _INT64:
            return value
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return int(value) if value.is_integer() and int(value) in _INT64 else value


def storable(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold and JSON can."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
