"""Which documents of the store are visible, which a filter passes, and what their fields hold."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from indexer.filters import Comparison, Filter, FilterError, compile, to_json
from indexer.filters.counting import (
    FieldReport,
    facet_counts,
    facets_of,
    field_report,
    stray_facets,
)
from indexer.filters.facets import Facet, storable
from indexer.filters.kinds import comparisons, misfits
from indexer.filters.tree import Scalar, unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.filters.selection import Remembered

VISIBLE = "added <= {0} AND (deleted IS NULL OR deleted > {0})"
_ADDED = "SELECT number AS document FROM documents WHERE added <= ?"
_DELETED = "SELECT number AS document FROM documents WHERE deleted <= ?"
_INVISIBLE = f"{_DELETED} UNION ALL SELECT number FROM documents WHERE added > ?"


class Selections:
    """What a connection to the store's file can tell of documents by sequence and metadata."""

    _db: sqlite3.Connection

    @property
    def sequence(self) -> int:
        """The number of the last transaction."""
        return self._state("sequence")

    @property
    def purges(self) -> int:
        """How many times dead rows have been purged."""
        return self._state("purges")

    @property
    def purged(self) -> int:
        """The sequence number up to which dead rows have been purged."""
        return self._state("purged")

    @property
    def sketched(self) -> bool:
        """Whether every document has had its sketch made; those of format 1 came without."""
        return bool(self._state("sketched"))

    @property
    def holds_passages(self) -> bool:
        """Whether there is a passage, dead ones included."""
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM passages)").fetchone()[0])

    def _state(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM state WHERE name = ?", [name]).fetchone()
        return int(row[0])

    def numbers(self, upto: int) -> "NDArray[np.int64]":
        """Return the numbers of all documents visible at a sequence number, ascending."""
        return self._remembered.get(self._stand(), (b"", upto), lambda: self._visible(upto))

    def _visible(self, upto: int) -> "NDArray[np.int64]":
        from indexer.filters.selection import without

        # By two indexes, because the table itself is ten times as large.
        return without(self._numbers(_ADDED, [upto]), self._numbers(_DELETED, [upto]))

    def last(self, upto: int) -> list[int]:
        """Return the highest number visible at a sequence number, if there is any."""
        # The plus keeps SQLite from the index on `added`, every row of which it would sort.
        highest = self._db.execute(
            f"SELECT number FROM documents WHERE +{VISIBLE.format(int(upto))} "
            "ORDER BY number DESC LIMIT 1"
        )
        return [int(number) for (number,) in highest]

    def matching(self, condition: Filter, upto: int) -> "NDArray[np.int64]":
        """Return the numbers of the visible documents that a filter passes, ascending.

        The array is read-only: the same filter gets it again while nothing is written.

        Raises:
            FilterError: it names a field that no visible document has.
        """
        # As JSON, because Python holds true, 1 and 1.0 for one.
        text = json.dumps(to_json(condition)).encode()
        what = (hashlib.blake2b(text).digest(), upto)
        return self._remembered.get(self._stand(), what, lambda: self._matching(condition, upto))

    def _matching(self, condition: Filter, upto: int) -> "NDArray[np.int64]":
        from indexer.filters.selection import Source, select, without

        fields = {
            name: self._known_field(name, upto)
            for name in dict.fromkeys(one.field for one in comparisons(condition))
        }

        def matches(comparison: Comparison) -> "NDArray[np.int64]":
            return self._numbers(*compile(comparison, fields[comparison.field]))

        found = select(condition, Source(matches=matches, everything=lambda: self.numbers(upto)))
        return without(found, self._numbers(_INVISIBLE, [upto, upto]))

    @cached_property
    def _remembered(self) -> "Remembered":
        from indexer.filters.selection import Remembered

        return Remembered()

    def _stand(self) -> tuple[int, ...]:
        """Return all that selections depend on beside what is asked, our unfinished writes too."""
        return (self.sequence, self.purges, self._db.total_changes)

    def _numbers(self, query: str, values: Sequence[Any]) -> "NDArray[np.int64]":
        """Read the column `document` of a query: ascending, each number once."""
        import numpy as np

        from indexer.filters.selection import ascending

        # As one text, because a Python object for each row takes four times as long. SQLite's
        # longest text has 10^9 bytes: room for 10^8 numbers.
        (text,) = self._db.execute(
            f"SELECT group_concat(document) FROM ({query})", values
        ).fetchone()
        return ascending(np.fromstring(text or "", dtype=np.int64, sep=","))

    def fields(self) -> dict[str, int]:
        """Return the metadata fields that any document has or had, with their numbers."""
        return dict(self._db.execute("SELECT name, field FROM fields"))

    def kinds(self, field: str, upto: int) -> frozenset[int]:
        """Return the kinds (`indexer.filters.facets`) of a field's values in visible documents."""
        kinds = self._db.execute(
            "SELECT column1 FROM (VALUES (0), (1), (2), (3)), fields "
            f"WHERE name = ? AND {_held(upto, 'AND kind = column1')}",
            [storable(field)],
        )
        return frozenset(kind for (kind,) in kinds)

    def _known_field(self, name: str, upto: int) -> int:
        """Return the number of a field that some visible document has."""
        held = f"SELECT name, field FROM fields WHERE {_held(upto)}"
        row = self._db.execute(f"{held} AND name = ?", [storable(name)]).fetchone()
        if row is None:
            raise FilterError(unknown("field", name, dict(self._db.execute(held))))
        return int(row[1])

    def misfits(self, condition: Filter, upto: int) -> list[str]:
        """Return a line for each value of a filter whose kind no visible document has there."""
        return misfits(condition, lambda field: self.kinds(field, upto))

    def field_report(self) -> dict[str, FieldReport]:
        """Report on every metadata field of the live documents, by name."""
        return field_report(self._db)

    def facet_counts(
        self, fields: Iterable[str], numbers: Iterable[int], limit: int = 10
    ) -> dict[str, list[tuple[Scalar, int]]]:
        """Return the `limit` most frequent values of fields among documents, with their counts.

        Equal counts are in the order of null, booleans, numbers, strings, and of their values.

        Raises:
            FilterError: no live document has a field of this name.
        """
        known = {name: self._known_field(name, self.sequence) for name in fields}
        return {
            name: facet_counts(self._db, field, numbers, limit) for name, field in known.items()
        }

    def facets(self, numbers: Iterable[int]) -> dict[int, set[Facet]]:
        """Return what filters know of documents, as `indexer.filters.facets` gives it."""
        return facets_of(self._db, numbers)

    def stray_facets(self) -> list[str]:
        """Return a line for each sort of facet or field that belongs to nothing."""
        return stray_facets(self._db)


def _held(upto: int, further: str = "") -> str:
    """Return the condition that a visible document has the field of this row of `fields`."""
    # In SQLite a CROSS JOIN keeps its order: the first facets first, each document by its number.
    return (
        "EXISTS (SELECT 1 FROM facets CROSS JOIN documents ON number = document "
        f"WHERE facets.field = fields.field {further} AND {VISIBLE.format(int(upto))})"
    )
