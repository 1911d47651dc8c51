"""What the fields of documents hold: a report over all, counts among a few, and what is stray."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from indexer.filters.facets import KIND_NAMES, STRING, Facet, restored
from indexer.filters.tree import Scalar

_DAY = "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
_DATES = (_DAY[: -len("-[0-3][0-9]")], _DAY, f"{_DAY}[T ][0-2][0-9]:[0-5][0-9]*")
_IS_DATE = " OR ".join(f"value GLOB '{pattern}'" for pattern in _DATES)
_DEAD = "SELECT number FROM documents WHERE deleted IS NOT NULL"
# Looked up for each facet, which takes a third of the time; so only where anything is dead.
_LIVE = f"document NOT IN ({_DEAD})"

# Both walk an index in its order, so that nothing but a field's distinct values is ever sorted.
_BY_VALUE = """
SELECT sum(times), count(*), min(value), max(value), min({is_date})
FROM (
    SELECT value, count(*) AS times FROM facets
    WHERE field = ? AND kind = ? AND {live} GROUP BY value
)
"""
_REPEATS = """
SELECT field, sum(times - 1)
FROM (
    SELECT field, count(*) AS times FROM facets INDEXED BY facet_documents
    WHERE {live} GROUP BY document, field HAVING count(*) > 1
) GROUP BY field
"""
_AMONG = """
SELECT kind, facets.value, count(*) AS times
FROM json_each(?) AS wanted CROSS JOIN facets INDEXED BY facet_documents
ON document = wanted.value AND field = ?
GROUP BY kind, facets.value ORDER BY times DESC, kind, facets.value LIMIT ?
"""
_OF = """
SELECT document, name, kind, facets.value
FROM json_each(?) AS wanted CROSS JOIN facets INDEXED BY facet_documents
ON document = wanted.value LEFT JOIN fields USING (field)
"""
_STRAY = {
    "filters know of {} documents that are not there": """
        SELECT count(*) FROM (SELECT DISTINCT document FROM facets INDEXED BY facet_documents)
        WHERE document NOT IN (SELECT number FROM documents)
    """,
    "{} metadata fields have no name": """
        SELECT count(*) FROM (SELECT DISTINCT field FROM facets)
        WHERE field NOT IN (SELECT field FROM fields)
    """,
    "{} metadata fields are in no document": """
        SELECT count(*) FROM fields
        WHERE NOT EXISTS (SELECT 1 FROM facets WHERE facets.field = fields.field)
    """,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values of one type in a field: how many, how many distinct ones, the least and greatest.

    A list counts with each of its distinct elements. Strings are compared by code point.
    """

    values: int
    distinct: int
    min: Scalar
    max: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldReport:
    """What a field holds: in how many documents it is, and its values by type.

    The types are null, boolean, number, string, and date for strings that all have the form of an
    ISO 8601 date, a month, a day or a time of day.
    """

    documents: int
    types: dict[str, Values]


def field_report(db: sqlite3.Connection) -> dict[str, FieldReport]:
    """Report on every field of the live documents, by name; it reads each facet twice."""
    live = _LIVE if db.execute(f"{_DEAD} LIMIT 1").fetchone() else "1"
    repeats = dict(db.execute(_REPEATS.format(live=live)))
    report = {}
    for name, field in db.execute("SELECT name, field FROM fields ORDER BY name").fetchall():
        types = dict(_types(db, field, live))
        values = sum(held.values for held in types.values())
        if values:
            report[name] = FieldReport(documents=values - repeats.get(field, 0), types=types)
    return report


def _types(db: sqlite3.Connection, field: int, live: str) -> Iterator[tuple[str, Values]]:
    """Yield the types of a field's values; `live` is the condition on a facet's document."""
    for kind, type_ in enumerate(KIND_NAMES):
        query = _BY_VALUE.format(live=live, is_date=_IS_DATE if kind == STRING else "0")
        values, distinct, least, greatest, dates = db.execute(query, [field, kind]).fetchone()
        if values:
            held = Values(
                values=values,
                distinct=distinct,
                min=restored(kind, least),
                max=restored(kind, greatest),
            )
            yield "date" if dates else type_, held


def facet_counts(
    db: sqlite3.Connection, field: int, numbers: Iterable[int], limit: int
) -> list[tuple[Scalar, int]]:
    """Return the most frequent values of a field among documents, each with how many have it.

    Equal counts are in the order of null, booleans, numbers, strings, and of their values.
    """
    # In order, because neighbours are on the same page of the index.
    wanted = json.dumps(sorted({int(number) for number in numbers}))
    return [
        (restored(kind, value), times)
        for kind, value, times in db.execute(_AMONG, [wanted, field, limit])
    ]


def facets_of(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, set[Facet]]:
    """Return what is stored of documents as `indexer.filters.facets` gives it, by number."""
    found: dict[int, set[Facet]] = {}
    for document, name, kind, value in db.execute(_OF, [json.dumps(list(numbers))]):
        found.setdefault(document, set()).add((name, kind, value))
    return found


def stray_facets(db: sqlite3.Connection) -> list[str]:
    """Return a line for each sort of facet or field that belongs to nothing."""
    counts = {line: db.execute(query).fetchone()[0] for line, query in _STRAY.items()}
    return [line.format(count) for line, count in counts.items() if count]
