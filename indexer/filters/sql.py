"""Compile a metadata filter to SQL over the store's facets.

The table: `facets(field INTEGER, kind INTEGER, value, document INTEGER)`, all four its key. It may
hold documents that are no longer visible, or not yet; the outermost SELECT leaves them out.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from indexer.filters.facets import STRING, typed
from indexer.filters.tree import And, Comparison, Filter, FilterError, Not, Or, unknown

MAX_INEXACT_VALUES = 10_000
_MAX_TERMS = 200  # SQLite takes 500 in one compound SELECT
_RANGES = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def compile(filter: Filter, field_ids: Mapping[str, int], universe: str) -> tuple[str, list[Any]]:
    """Return a SELECT of the visible documents that match, each number once, and its parameters.

    `field_ids` are the fields that some document has; another name is a FilterError. `universe` is
    a SELECT, without parameters, of the numbers of all visible documents. It is read in full only
    where a negation has nothing to be taken from, else looked up for each match.
    """
    return _Compiler(field_ids, universe).compile(filter)


class _Select(NamedTuple):
    """A SELECT of a column `document`; a compound one cannot be a term of another."""

    sql: str
    parameters: list[Any]
    compound: bool = False


_EVERYTHING = _Select("SELECT document FROM filter_universe", [])
_NOTHING = _Select("SELECT 0 AS document WHERE 0", [])


class _Compiler:
    """Give each nested connective a table expression of its own.

    Not a nested subquery, because SQLite's parser has a stack of 100 entries. A table expression
    stands in the text before those that read it, and the parameters are collected in that order.
    """

    def __init__(self, field_ids: Mapping[str, int], universe: str) -> None:
        self._field_ids = field_ids
        self._tables = [f"filter_universe(document) AS NOT MATERIALIZED ({universe})"]
        self._parameters: list[Any] = []
        self._inexact_values = 0

    def compile(self, filter: Filter) -> tuple[str, list[Any]]:
        sql, parameters, compound = self._select(filter)
        distinct = "" if compound else "DISTINCT "
        # In SQLite a CROSS JOIN keeps its order: the matches first, each looked up by its number.
        visible = f"({sql}) AS matched CROSS JOIN filter_universe AS seen USING (document)"
        query = f"WITH {', '.join(self._tables)} SELECT {distinct}matched.document FROM {visible}"
        return query, self._parameters + parameters

    def _select(self, filter: Filter) -> _Select:
        match filter:
            case Not() | Comparison(operator="exists"):
                return self._conjunction((filter,))
            case And(parts):
                return self._conjunction(parts)
            case Or(parts):
                return self._compound("UNION", [self._term(self._select(part)) for part in parts])
            case Comparison(_, "in"):
                return self._membership(filter)
            case Comparison(_, "prefix"):
                return self._prefix(filter)
            case Comparison(_, operator, value):
                kind, value = typed(value, filter.field)
                sign = _RANGES.get(operator, "=")
                return self._facets(filter.field, f"AND kind = {kind} AND value {sign} ?", [value])

    def _conjunction(self, parts: tuple[Filter, ...]) -> _Select:
        """Intersect what must hold, and take away what must not."""
        kept: list[_Select] = []
        removed: list[_Select] = []
        for part in parts:
            affirmed, holds = _polarity(part)
            if isinstance(affirmed, Comparison) and affirmed.operator == "exists":
                select = self._facets(affirmed.field, "", [])
            else:
                select = self._term(self._select(affirmed))
            (kept if holds else removed).append(select)
        result = self._compound("INTERSECT", kept or [_EVERYTHING])
        if not removed:
            return result
        terms = [self._term(result), self._term(self._compound("UNION", removed))]
        return self._compound("EXCEPT", terms)

    def _membership(self, filter: Comparison) -> _Select:
        """Select by a list: one look-up in the key for each of its values."""
        by_kind: dict[int, set[Any]] = {}
        for kind, value in (typed(value, filter.field) for value in filter.value):
            by_kind.setdefault(kind, set()).add(value)
        terms = []
        for kind, values in by_kind.items():
            exact = [value for value in values if _survives_json(value)]
            inexact = [value for value in values if not _survives_json(value)]
            self._inexact_values += len(inexact)
            if self._inexact_values > MAX_INEXACT_VALUES:
                raise FilterError(
                    f"the filter lists more than {MAX_INEXACT_VALUES} numbers with a fraction "
                    "in its 'in' lists: use ranges"
                )
            source = "SELECT value FROM json_each(?)"
            if inexact:
                source += f" UNION ALL VALUES {', '.join(['(?)'] * len(inexact))}"
            parameters = [json.dumps(exact, ensure_ascii=False), *inexact]
            where = f"AND kind = {kind} AND value IN ({source})"
            terms.append(self._facets(filter.field, where, parameters))
        return self._compound("UNION", terms)

    def _prefix(self, filter: Comparison) -> _Select:
        where, parameters = f"AND kind = {STRING} AND value >= ?", [filter.value]
        after = _successor(filter.value)
        if after:
            where, parameters = f"{where} AND value < ?", [filter.value, after]
        return self._facets(filter.field, where, parameters)

    def _facets(self, field: str, where: str, parameters: list[Any]) -> _Select:
        if field not in self._field_ids:
            raise FilterError(unknown("field", field, self._field_ids))
        number = int(self._field_ids[field])
        return _Select(f"SELECT document FROM facets WHERE field = {number} {where}", parameters)

    def _compound(self, operator: str, terms: list[_Select]) -> _Select:
        """Join any number of terms by UNION, INTERSECT or EXCEPT; none of them select nothing."""
        while len(terms) > _MAX_TERMS:
            starts = range(0, len(terms), _MAX_TERMS)
            chunks = [terms[start : start + _MAX_TERMS] for start in starts]
            terms = [self._term(self._compound(operator, chunk)) for chunk in chunks]
        if len(terms) < 2:
            return terms[0] if terms else _NOTHING
        sql = f" {operator} ".join(term.sql for term in terms)
        return _Select(sql, [value for term in terms for value in term.parameters], compound=True)

    def _term(self, select: _Select) -> _Select:
        """Return a select that can stand in a compound one: a compound becomes a table first."""
        if not select.compound:
            return select
        name = f"filter_{len(self._tables)}"
        self._tables.append(f"{name}(document) AS ({select.sql})")
        self._parameters += select.parameters
        return _Select(f"SELECT document FROM {name}", [])


def _polarity(filter: Filter) -> tuple[Filter, bool]:
    """Return what lies below the negations of a filter, and whether it must hold."""
    holds = True
    while isinstance(filter, Not):
        filter, holds = filter.part, not holds
    if isinstance(filter, Comparison) and filter.operator == "exists":
        return filter, holds == filter.value
    return filter, holds


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
