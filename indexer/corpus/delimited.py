"""CSV and TSV with a header: quoted as spreadsheets write them, a field may hold newlines."""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from indexer.corpus.entries import Row
from indexer.corpus.fields import (
    BadRecord,
    Fields,
    Record,
    decode,
    find_field,
    missing_field,
    pick,
    quoted,
    too_long,
)
from indexer.corpus.lines import Source, content_size
from indexer.errors import ClozeError

_CHUNK = 1 << 16
_QUOTE = b'"'
_UNQUOTED, _FIELD_START, _QUOTED, _AFTER_QUOTE = range(4)

_WITHOUT_HEADER = ", or give MS MARCO's files, which have no header, as msmarco:FILE"

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LONGEST_INTEGER = 4_000  # beyond it Python refuses to read one


def read_csv(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield one row for each row of comma-separated values below the header."""
    return _read(source, fields, ",")


def read_tsv(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield one row for each row of tab-separated values below the header."""
    return _read(source, fields, "\t")


def _read(source: Source, fields: Fields, delimiter: str) -> Iterator[Row]:
    header: list[str] | None = None
    for line, row in _rows(source, delimiter):
        if header is None:
            header = _header(f"{source.name}:{line}", row, fields)
        else:
            yield line, row if isinstance(row, BadRecord) else _record(header, row, fields)


def _header(where: str, header: list[str] | BadRecord, fields: Fields) -> list[str]:
    # Without a header no row can be read, so these stop the run whatever --skip-bad says.
    if isinstance(header, BadRecord):
        raise ClozeError(f"{where}: in the header: {header.problem}; {header.remedy}")
    check_columns(where, "header", header, fields)
    return header


def check_columns(where: str, place: str, columns: Sequence[str], fields: Fields) -> None:
    """Raise ClozeError if a name comes twice, or the id's, the text's or a named field is absent.

    `place` is what holds the names: the header or the schema.
    """
    names = dict.fromkeys(columns)
    if len(names) < len(columns):
        twice = next(name for name in names if columns.count(name) > 1)
        raise ClozeError(
            f"{where}: the {place} names {quoted(twice)} twice; rename one of the columns"
        )
    wanted = {"id": fields.needs_id, "text": True, "title": fields.title is not None}
    for role in (each for each in wanted if wanted[each]):
        if find_field(names, fields, role) is None:
            bad = missing_field(names, fields, role)
            advice = _WITHOUT_HEADER if place == "header" and len(columns) in (2, 4) else ""
            raise ClozeError(f"{where}: in the {place}: {bad.problem}; {bad.remedy}{advice}")


def _record(header: list[str], row: list[str], fields: Fields) -> Record | BadRecord:
    if len(row) != len(header):
        problem = f"{len(row)} fields where the header names {len(header)}"
        return BadRecord(problem, "quote fields that hold delimiters, quotes or newlines")
    record = pick(dict(zip(header, row, strict=True)), fields)
    return replace(record, metadata=_typed(record.metadata))


def _typed(metadata: Mapping[str, str]) -> dict[str, str | int | float]:
    return {name: _number(value) for name, value in metadata.items()}


def _number(value: str) -> str | int | float:
    """Return the number that a cell plainly is: 7, -3, 12.50, 1e3; "07" and "+7" stay strings."""
    if not _NUMBER.fullmatch(value):
        return value
    if value.lstrip("-").isdecimal() and len(value) <= _LONGEST_INTEGER:
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else value


def _rows(source: Source, delimiter: str) -> Iterator[tuple[int, list[str] | BadRecord]]:
    # The module's limit on fields is global: it is only ever raised, the row's limit is ours.
    csv.field_size_limit(max(csv.field_size_limit(), source.limit))
    feed = _Feed(source, delimiter)
    # Strict, so that a quote which is never closed is an error and not one endless last field.
    parser = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        line = feed.begin_row()
        try:
            row = next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            # What follows the dash is advice to whoever calls the csv module.
            problem = f"not a row: {str(error).partition(' - ')[0]}"
            yield line, BadRecord(problem, "quote the field, and double the quotes inside it")
        except BadRecord as bad:
            yield line, bad
        else:
            if feed.bad_bytes is not None:
                yield line, feed.bad_bytes
            elif len(row) > 1 or "".join(row).strip():
                yield line, row


class _Feed(Iterator[str]):
    """Hand the csv module the lines of one row, and no more of them than the limit allows."""

    def __init__(self, source: Source, delimiter: str) -> None:
        self._source = source
        self._delimiter = delimiter.encode()
        self.begin_row()

    def begin_row(self) -> int:
        """Forget the row before, and return the number of the line the next one begins on."""
        self.bad_bytes: BadRecord | None = None
        self._room = self._source.limit
        self._state = _FIELD_START
        return self._source.line + 1

    def __next__(self) -> str:
        # Two bytes more for the line end; a line cut there is longer than the room left.
        piece = self._source.piece(max(self._room, 0) + 2)
        if not piece:
            raise StopIteration
        if content_size(piece) > self._room:
            self._skip_row(piece)
            raise too_long(self._source.limit)
        self._room -= len(piece)
        # The csv module asks for another line of the same row only inside quotes.
        self._state = _QUOTED
        try:
            return decode(piece)
        except BadRecord as bad:
            # Not raised: the csv module has to see the rest of the row to find its end.
            self.bad_bytes = bad
            return piece.decode("utf-8", "replace")

    def _skip_row(self, piece: bytes) -> None:
        state = self._state
        while piece:
            state = _scan(piece, state, self._delimiter)
            if piece.endswith(b"\n"):
                if state != _QUOTED:
                    return
            piece = self._source.piece(_CHUNK)


def _scan(piece: bytes, state: int, delimiter: bytes) -> int:
    """Follow the quotes of a row through `piece`, from a state to the one at its end."""
    at = 0
    while at < len(piece):
        if state in (_QUOTED, _UNQUOTED):
            at = piece.find(_QUOTE if state == _QUOTED else delimiter, at)
            if at < 0:
                return state
            state = _AFTER_QUOTE if state == _QUOTED else _FIELD_START
        elif piece[at : at + 1] == _QUOTE:
            state = _QUOTED
        else:
            state = _FIELD_START if piece[at : at + 1] == delimiter else _UNQUOTED
        at += 1
    return state
