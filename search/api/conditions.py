"""A request's filter, read and held against the limits."""

from collections.abc import Mapping
from typing import Any

from indexer.errors import ClozeError
from indexer.filters import Filter, parse
from indexer.filters.tree import And, Not, Or
from search.api.errors import ApiError, within
from search.service.settings import Limits


def read_filter(value: str | Mapping[str, Any], limits: Limits) -> Filter:
    """Read a filter, its text or JSON.

    Raises:
        ApiError: 422, it is no filter, nested too deep, or has too many conditions and values.
    """
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
