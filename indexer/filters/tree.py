"""The syntax tree of a metadata filter, and what a well-formed one is."""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from indexer.errors import RequestError

OPERATORS = ("eq", "in", "gt", "gte", "lt", "lte", "exists", "prefix")
CONNECTIVES = ("and", "or", "not")
MAX_DEPTH = 32
MAX_NODES = 10_000
_COMPARED = 100  # code points of an unknown name
MAX_VALUES = 100_000  # of all `in` lists of one filter together

_TYPE_NAMES = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    type(None): "null",
    dict: "an object",
}

Scalar = str | int | float | bool | None


class FilterError(RequestError):
    """A filter that cannot be read, or that asks for a field that no document has."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compare one metadata field with a value; `in` holds a tuple of values.

    A value or field name that the operator cannot take is a FilterError.
    """

    field: str
    operator: str
    value: Any

    def __post_init__(self) -> None:
        """Check the field, the operator and the type of the value."""
        if self.field in CONNECTIVES:
            raise FilterError(f"a filter cannot name a field {self.field!r}: the word is reserved")
        if self.operator not in OPERATORS:
            raise FilterError(unknown("operator", self.operator, OPERATORS))
        _check_text(self.field)
        if self.operator != "in":
            self._check_value(self.value)
            return
        if not isinstance(self.value, tuple):
            raise FilterError(
                f"operator 'in' of field {shorten(self.field)} takes a list, "
                f"but was given {type_name(self.value)}"
            )
        for value in self.value:
            self._check_value(value)

    def _check_value(self, value: object) -> None:
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise FilterError(f"field {shorten(self.field)} needs a finite number, not {value}")
        allowed, wanted = _ALLOWED[self.operator]
        if type(value) not in allowed:
            raise FilterError(
                f"operator {self.operator!r} of field {shorten(self.field)} takes {wanted}, "
                f"but was given {type_name(value)}"
            )


@dataclass(frozen=True, slots=True)
class And:
    """Match the documents that every part matches; without parts, all of them."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Match the documents that any part matches; without parts, none."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """Match the documents that the part does not match, those without its field too."""

    part: "Filter"


Filter = And | Or | Not | Comparison

_SCALARS = (str, int, float, bool, type(None))
_ORDERED = ((str, int, float), "a number or a string")
_ALLOWED: dict[str, tuple[tuple[type, ...], str]] = {
    "eq": (_SCALARS, "a string, number, boolean or null"),
    "in": (_SCALARS, "a list of strings, numbers, booleans or nulls"),
    "gt": _ORDERED,
    "gte": _ORDERED,
    "lt": _ORDERED,
    "lte": _ORDERED,
    "exists": ((bool,), "true or false"),
    "prefix": ((str,), "a string"),
}


class Budget:
    """Count the nodes and list values of a filter while it is read, and stop at the limits."""

    def __init__(self) -> None:
        """Start with nothing spent."""
        self._nodes = 0
        self._values = 0

    def node(self) -> None:
        """Count one node; too many are a FilterError."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise FilterError(f"the filter has more than {MAX_NODES} conditions: use 'in' lists")

    def values(self, count: int) -> None:
        """Count values of an `in` list; too many are a FilterError."""
        self._values += count
        if self._values > MAX_VALUES:
            raise FilterError(f"the filter lists more than {MAX_VALUES} values: send fewer")


def check_level(level: int) -> None:
    """Refuse a level of nesting, from 1, below the deepest allowed one."""
    if level > MAX_DEPTH:
        raise FilterError(f"the filter is nested deeper than {MAX_DEPTH} levels: flatten it")


def check_depth(tree: Filter, level: int = 1) -> None:
    """Refuse a tree that is deeper than allowed."""
    check_level(level)
    if isinstance(tree, Not):
        check_depth(tree.part, level + 1)
    elif isinstance(tree, And | Or):
        for part in tree.parts:
            check_depth(part, level + 1)


def unknown(kind: str, name: str, choices: Iterable[str]) -> str:
    """Return the message for a name that is not among the choices, with the nearest ones."""
    names = sorted(choices)
    # What is compared takes time with its length, and may be megabytes of a hostile filter.
    nearest = difflib.get_close_matches(name[:_COMPARED], names, n=1, cutoff=0.5)
    hint = f": did you mean {shorten(nearest[0])}?" if nearest else "."
    listed = ", ".join(map(shorten, names[:20])) or "none"
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"unknown {kind} {shorten(name)}{hint} The {kind}s are {listed}{more}"


def type_name(value: object) -> str:
    """Return what a user calls the type of a JSON value, with its article."""
    return _TYPE_NAMES.get(type(value), f"a {type(value).__name__}")


def shorten(text: str) -> str:
    """Return a text quoted for a one-line message, cut at 60 code points."""
    return repr(text) if len(text) <= 60 else repr(text[:60]) + "..."


def _check_text(text: str) -> None:
    """Refuse a lone surrogate: it is half a character and cannot be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FilterError(f"the filter holds half a character: {shorten(text)}") from None
