"""Read a metadata filter from text or JSON, and write it as JSON.

JSON: {"and": [...]}, {"or": [...]}, {"not": ...}, {"field": {"eq": value, ...}} with the operators
eq, in, gt, gte, lt, lte, exists (true or false) and prefix. {"field": value} is short for eq, and
{"field": [value, ...]} for in. What stands side by side in one object must all hold.

Text: year >= 2000 and lang in (en, de) and not (title prefix "A"), as `indexer.filters.text` says.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from indexer.filters.text import parse_text
from indexer.filters.tree import (
    CONNECTIVES,
    OPERATORS,
    And,
    Budget,
    Comparison,
    Filter,
    FilterError,
    Not,
    Or,
    check_depth,
    check_level,
    shorten,
    type_name,
    unknown,
)

MAX_CHARACTERS = 10_000_000


def parse(expression: str | Mapping[str, Any]) -> Filter:
    """Read a filter from its text form, its JSON form as text (it begins with "{"), or a mapping.

    Whatever is wrong, and a filter beyond the limits of `indexer.filters.tree`, is a FilterError.
    """
    if not isinstance(expression, str):
        tree = _from_object(expression, Budget(), 1)
    elif len(expression) > MAX_CHARACTERS:
        raise FilterError(
            f"the filter has {len(expression)} characters, more than {MAX_CHARACTERS}: send fewer"
        )
    elif expression.lstrip().startswith("{"):
        tree = _from_object(_load(expression), Budget(), 1)
    else:
        tree = parse_text(expression)
    check_depth(tree)
    return tree


def to_json(filter: Filter) -> dict[str, Any]:
    """Return the JSON form of a filter; `parse` gives the same filter back."""
    match filter:
        case And(parts):
            return {"and": [to_json(part) for part in parts]}
        case Or(parts):
            return {"or": [to_json(part) for part in parts]}
        case Not(part):
            return {"not": to_json(part)}
        case Comparison(field, operator, value):
            return {field: {operator: list(value) if operator == "in" else value}}


def _load(expression: str) -> object:
    try:
        return json.loads(
            expression, object_pairs_hook=_without_repetition, parse_constant=_no_constant
        )
    except json.JSONDecodeError as error:
        at = error.pos + 1
        raise FilterError(f"at character {at} of the filter: not JSON, {error.msg}") from None
    except RecursionError:
        raise FilterError("the filter is nested too deeply: flatten it") from None
    except ValueError:  # Python reads no integer of more than 4300 digits
        raise FilterError("the filter holds a number that is too long") from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = names.most_common(1)[0][0]
        raise FilterError(f"the filter has {shorten(twice)} twice in one object: use 'and'")
    return content


def _no_constant(name: str) -> None:
    raise FilterError(f"the filter holds {name}, which is not JSON")


def _from_object(value: object, budget: Budget, level: int) -> Filter:
    """Read one JSON object, the conjunction of its entries."""
    check_level(level)
    if not isinstance(value, Mapping):
        raise FilterError(
            f'a filter is an object such as {{"year": {{"gte": 2000}}}}, not {type_name(value)}'
        )
    parts: list[Filter] = []
    for name, content in value.items():
        if not isinstance(name, str):
            raise FilterError(f"a filter names its fields with strings, not {type_name(name)}")
        parts += _from_entry(name, content, budget, level)
    if len(parts) == 1:
        return parts[0]
    budget.node()
    return And(tuple(parts))


def _from_entry(name: str, content: object, budget: Budget, level: int) -> list[Filter]:
    """Read one connective, or all comparisons of one field."""
    if name not in CONNECTIVES:
        return _comparisons(name, content, budget)
    budget.node()
    if name == "not":
        return [Not(_from_object(content, budget, level + 1))]
    if not isinstance(content, list | tuple):
        raise FilterError(f"{name!r} takes a list of filters, but was given {type_name(content)}")
    parts = tuple(_from_object(part, budget, level + 1) for part in content)
    return [And(parts) if name == "and" else Or(parts)]


def _comparisons(field: str, content: object, budget: Budget) -> list[Filter]:
    if not isinstance(content, Mapping):
        short = "in" if isinstance(content, list | tuple) else "eq"
        return [_comparison(field, short, content, budget)]
    if not content:
        raise FilterError(f"field {shorten(field)} has no operator: use {', '.join(OPERATORS)}")
    return [_comparison(field, operator, value, budget) for operator, value in content.items()]


def _comparison(field: str, operator: object, value: object, budget: Budget) -> Comparison:
    budget.node()
    if not isinstance(operator, str) or operator not in OPERATORS:
        message = unknown("operator", str(operator), OPERATORS)
        inner = shorten(f"{field}.{operator}")
        raise FilterError(f"{message}; for what is within {shorten(field)} name the field {inner}")
    if operator == "in" and isinstance(value, list | tuple):
        budget.values(len(value))
        value = tuple(value)
    return Comparison(field, operator, value)
