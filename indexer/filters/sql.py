"""Write one comparison of a metadata filter as SQL over the store's facets.

The table: `facets(field INTEGER, kind INTEGER, value, document INTEGER)`, all four its key, so that
each comparison reads one stretch of the key and nothing else.
"""

import json
from typing import Any

from indexer.filters.facets import STRING, typed
from indexer.filters.tree import Comparison, FilterError

MAX_INEXACT_VALUES = 10_000
_RANGES = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def compile(comparison: Comparison, field: int) -> tuple[str, list[Any]]:
    """Return a SELECT of the documents with a facet that a comparison matches, and its parameters.

    `field` is the number of its field. A document may come more than once, in any order; `exists`
    is read as true. Documents that are no longer visible, or not yet, are among them.
    """
    match comparison.operator:
        case "exists":
            return _facets(field, ""), []
        case "in":
            return _membership(comparison, field)
        case "prefix":
            return _prefix(comparison.value, field)
    kind, value = typed(comparison.value, comparison.field)
    sign = _RANGES.get(comparison.operator, "=")
    return _facets(field, f"AND kind = {kind} AND value {sign} ?"), [value]


def _facets(field: int, where: str) -> str:
    return f"SELECT document FROM facets WHERE field = {int(field)} {where}"


def _membership(comparison: Comparison, field: int) -> tuple[str, list[Any]]:
    """Select by a list: one look-up in the key for each of its values."""
    by_kind: dict[int, set[Any]] = {}
    for kind, value in (typed(value, comparison.field) for value in comparison.value):
        by_kind.setdefault(kind, set()).add(value)
    selects = []
    parameters: list[Any] = []
    for kind, values in by_kind.items():
        exact = [value for value in values if _survives_json(value)]
        inexact = [value for value in values if not _survives_json(value)]
        if len(inexact) > MAX_INEXACT_VALUES:
            raise FilterError(
                f"the filter lists more than {MAX_INEXACT_VALUES} numbers with a fraction "
                "in an 'in' list: use ranges"
            )
        source = "SELECT value FROM json_each(?)"
        if inexact:
            source += f" UNION ALL VALUES {', '.join(['(?)'] * len(inexact))}"
        selects.append(_facets(field, f"AND kind = {kind} AND value IN ({source})"))
        parameters += [json.dumps(exact, ensure_ascii=False), *inexact]
    return " UNION ALL ".join(selects) or _facets(field, "AND 0"), parameters


def _prefix(prefix: str, field: int) -> tuple[str, list[Any]]:
    where, parameters = f"AND kind = {STRING} AND value >= ?", [prefix]
    after = _successor(prefix)
    if after:
        where, parameters = f"{where} AND value < ?", [prefix, after]
    return _facets(field, where), parameters


def _survives_json(value: int | float | str) -> bool:
    """Tell whether SQLite reads a value back from JSON: not a fraction to its last bit, nor NUL."""
    return isinstance(value, int) or (isinstance(value, str) and "\0" not in value)


def _successor(prefix: str) -> str:
    """Return the first string after all that begin with the prefix, by code point; "" if none."""
    head = prefix.rstrip("\U0010ffff")
    if not head:
        return ""
    following = ord(head[-1]) + 1
    # Between U+D800 and U+DFFF there are no characters.
    return head[:-1] + chr(0xE000 if following == 0xD800 else following)
