"""A request's filter, read and held against the limits."""

from collections.abc import Mapping
from typing import Any

from indexer.errors import ClozeError
from indexer.filters import Filter, parse
from indexer.filters.kinds import comparisons
from indexer.filters.tree import And, Not, Or
from search.api.errors import ApiError, within
from search.service.settings import Limits

# Characters of a filter as text, which are more than `--max-filter-terms` needs.
_CHARACTERS = 65_536


def read_filter(value: str | Mapping[str, Any], limits: Limits) -> Filter:
    """Read a filter, its text or JSON.

    Raises:
        ApiError: 422, it is no filter, too long, nested too deep, or has too many conditions and
            values.
    """
    if isinstance(value, str) and len(value) > _CHARACTERS:
        raise ApiError(
            422, f"filter has {len(value):,} characters; at most {_CHARACTERS:,} as text: list "
            "values with 'in', or send it as JSON", code="limit_exceeded", param="filter",
        )  # fmt: skip
    try:
        condition = parse(value)
    except ClozeError as error:
        raise ApiError(422, str(error), code="invalid_filter", param="filter") from None
    depth, terms = _measured(condition)
    within(
        depth, limits.filter_depth, param="filter", flag="--max-filter-depth",
        counted="nested levels",
    )  # fmt: skip
    within(
        terms, limits.filter_terms, param="filter", flag="--max-filter-terms",
        counted="conditions and values",
    )  # fmt: skip
    return condition


def read_condition(value: str | Mapping[str, Any], limits: Limits) -> Filter:
    """Read a filter of what is to be deleted, which must compare something.

    Raises:
        ApiError: 422, as `read_filter`, or it has no comparison: all documents would pass, or none.
    """
    condition = read_filter(value, limits)
    if next(comparisons(condition), None) is None:
        raise ApiError(
            422, "the filter compares nothing and might delete every document; name a condition",
            code="invalid_filter", param="filter",
        )  # fmt: skip
    return condition


def _measured(condition: Filter) -> tuple[int, int]:
    """Return how deep a condition is nested, and its comparisons and listed values together."""
    match condition:
        case And(parts) | Or(parts):
            inner = [_measured(part) for part in parts]
        case Not(part):
            inner = [_measured(part)]
        case _:
            value = condition.value
            return 1, len(value) if isinstance(value, tuple) else 1
    return 1 + max((depth for depth, _ in inner), default=0), sum(terms for _, terms in inner)
