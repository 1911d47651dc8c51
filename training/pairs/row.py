"""What one place of a file of pairs gives: a row, or why it gives none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from indexer.corpus.fields import BadRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A query and its passages, stripped, none empty; the same query may come in other rows.

    `scores` are of the positives and then the negatives. `judged` says that a label or a grade
    tells positives from negatives, so that a query may rightly have no positive.
    """

    query: str
    positives: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    scores: tuple[float, ...] | None = None
    split: str | None = None
    judged: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is sound and gives no row, with the reason."""

    reason: str


# A line's number or words that name another place, and what is there. Bad ones are yielded, not
# raised: a generator that raised can't go on.
Placed: TypeAlias = tuple[int | str, Row | LeftOut | BadRecord]


class Rows(Protocol):
    """The rows of one file or folder."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def kind(self) -> str:
        """The format that it was recognised as."""
        ...

    @property
    def unread(self) -> Mapping[str, int]:
        """How many rows so far had fields that nothing is read from, by name."""
        ...

    def __iter__(self) -> Iterator[Placed]:
        """Stream the rows."""
        ...

    def position(self) -> float:
        """Return the share that has been read, from 0 to 1."""
        ...
