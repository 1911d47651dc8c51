"""TSV with a header: fields by the names of JSON lines, quoted as spreadsheets write them."""

import csv
from collections import Counter
from collections.abc import Iterator
from typing import Any

from indexer.corpus.fields import BadRecord, quoted
from indexer.corpus.lines import Source
from indexer.errors import ClozeError
from training.pairs.fields import check_names, read_row, unread
from training.pairs.file_rows import text_of
from training.pairs.row import Placed, Row

_REPEATED = {"positive": "positives", "negative": "negatives"}


def read_tsv(source: Source, ignored: Counter[str]) -> Iterator[Placed]:
    """Yield a row for each row below the header.

    Columns named `positive` or `negative` may come several times; `scores` have spaces between
    them. An empty cell is no field.

    Raises:
        ClozeError: the header names no pairs; without it no row can be read.
    """
    header: list[str] | None = None
    for line, cells in _cells(source):
        if header is None:
            header = _header(f"{source.name}:{line}", cells)
        elif isinstance(cells, BadRecord):
            yield line, cells
        elif any(cell.strip() for cell in cells):
            yield line, _row(header, cells, ignored)


def _cells(source: Source) -> Iterator[tuple[int, list[str] | BadRecord]]:
    """Yield the cells of each row, or what is wrong with it, and the line that it begins on."""
    # The module's limit on fields is global: it is only ever raised, the line's limit is ours.
    csv.field_size_limit(max(csv.field_size_limit(), source.limit))
    # Strict, so that a quote which is never closed is an error and not one endless last field.
    parser = csv.reader(map(text_of, source.lines()), delimiter="\t", strict=True)
    while True:
        line = source.line + 1
        try:
            yield line, next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"not a row: {str(error).partition(' - ')[0]}"
            yield line, BadRecord(problem, "quote the field, and double the quotes inside it")
        except BadRecord as bad:
            yield line, bad


def _header(where: str, cells: list[str] | BadRecord) -> list[str]:
    try:
        if isinstance(cells, BadRecord):
            raise cells
        names = [cell.strip() for cell in cells]
        twice = next((n for n in names if names.count(n) > 1 and n not in _REPEATED), None)
        if twice is not None:
            raise BadRecord(f"the column {quoted(twice)} comes twice", "rename one of the two")
        check_names(names)
    except BadRecord as bad:
        raise ClozeError(f"{where}: in the header: {bad.problem}; {bad.remedy}") from None
    return names


def _row(header: list[str], cells: list[str], ignored: Counter[str]) -> Row | BadRecord:
    try:
        if len(cells) != len(header):
            problem = f"{len(cells)} cells where the header names {len(header)}"
            raise BadRecord(problem, "quote cells that hold tabs, quotes or newlines")
        ignored.update(unread(header))
        return read_row(_values(header, cells))
    except BadRecord as bad:
        return bad


def _values(header: list[str], cells: list[str]) -> dict[str, Any]:
    """Bring cells to the values that JSON would have."""
    values: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        if header.count(name) > 1:
            listed = values.setdefault(_REPEATED[name], [])
            listed += [cell] if cell.strip() else []
        elif name in ("query", "passage") or cell.strip():
            values[name] = cell
    if "label" in values:
        values["label"] = _number(int, values["label"])
    elif "label" in header:
        raise BadRecord("the label is empty", "write a whole number, above 0 if relevant")
    if "scores" in values:
        values["scores"] = [_number(float, score) for score in values["scores"].split()]
    return values


def _number(kind: type[int] | type[float], cell: str) -> object:
    try:
        return kind(cell)
    except ValueError:
        return cell
