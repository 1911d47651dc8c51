"""The rows of a Parquet file as JSON values, a small batch at a time."""

import datetime
import decimal
import json
import math
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from indexer.corpus.fields import BadRecord, quoted, too_long

_BATCH_BYTES = 1 << 22
_BATCH_ROWS = 1024
_BUFFER = 1 << 20
_GROWTH = 8
_DEEPEST = 120


def read_rows(path: str, limit: int) -> Iterator[dict[str, Any]]:
    """Yield {"columns", "rows"}, then each row as {"row", "values"}, or what is wrong with it.

    Dates and times become ISO strings (times to the microsecond), decimals numbers, durations
    seconds, maps objects, bytes text if they are UTF-8, NaN null. What can't be converted, an
    infinite number, and a row of more than `limit` bytes as JSON are bad rows.
    """
    try:
        # Checksums are checked where a file has them; pages are read, not whole columns.
        file = parquet.ParquetFile(
            path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True,
            coerce_int96_timestamp_unit="us",
        )  # fmt: skip
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadRecord(f"no Parquet file: {_reason(error)}", "get the file again") from None
    with file:
        yield {"columns": file.schema_arrow.names, "rows": file.metadata.num_rows}
        first = 1
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            yield from _group(file, group, first, limit)
            first += rows


def _group(
    file: parquet.ParquetFile, group: int, first: int, limit: int
) -> Iterator[dict[str, Any]]:
    meta = file.metadata.row_group(group)
    row_bytes = max(meta.total_byte_size // max(meta.num_rows, 1), 1)
    size = min(max(_BATCH_BYTES // row_bytes, 1), _BATCH_ROWS)
    row, last = first, first + meta.num_rows - 1
    try:
        if row_bytes > limit and meta.num_rows == 1:
            raise too_long(limit)
        batches = file.iter_batches(batch_size=size, row_groups=[group], use_threads=False)
        for batch in batches:
            # As JSON a row takes a few times the bytes of its batch at most.
            largest = limit if batch.nbytes > limit // _GROWTH else None
            for values in _rows(_microseconds(batch)):
                yield {"row": row} | _checked(values, largest)
                row += 1
    except BadRecord as bad:
        yield {"row": row, "problem": bad.problem, "remedy": bad.remedy}
    except MemoryError:
        problem = f"rows {row:,} to {last:,} hold more than memory allows"
        yield {"row": row, "problem": problem, "remedy": "write smaller rows and pages"}
    except (pa.ArrowException, OSError, ValueError) as error:
        problem = f"rows {row:,} to {last:,} are damaged ({_reason(error)})"
        yield {"row": row, "problem": problem, "remedy": "get the file again"}


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | BadRecord]:
    names = batch.schema.names
    try:
        columns = [column.to_pylist() for column in batch.columns]
    except (ValueError, OverflowError, pa.ArrowException):
        # One value of a batch can't be Python's; the others of it can.
        for row in range(batch.num_rows):
            yield _one_by_one(batch, row)
        return
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _one_by_one(batch: pa.RecordBatch, row: int) -> dict[str, Any] | BadRecord:
    values = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            values[name] = column[row].as_py()
        except (ValueError, OverflowError, pa.ArrowException) as error:
            return BadRecord(f"column {quoted(name)} can't be read ({_reason(error)})")
    return values


def _checked(values: dict[str, Any] | BadRecord, limit: int | None) -> dict[str, Any]:
    """Return the values as JSON values, or what is wrong with them; no limit is not looked at."""
    try:
        if isinstance(values, BadRecord):
            raise values
        converted = {name: _json(value, name, 0) for name, value in values.items()}
        if limit is not None and len(json.dumps(converted, ensure_ascii=False).encode()) > limit:
            raise too_long(limit)
        return {"values": converted}
    except BadRecord as bad:
        return {"problem": bad.problem, "remedy": bad.remedy}


def _json(value: Any, name: str, depth: int) -> Any:  # noqa: ANN401 - what Arrow can hold
    """Return a value as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _finite(value, name)
    if depth > _DEEPEST:
        raise BadRecord(f"column {quoted(name)} is nested deeper than {_DEEPEST} levels")
    if isinstance(value, dict):
        return {key: _json(inner, name, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return _list(value, name, depth)
    return _scalar(value, name)


def _list(value: list[Any], name: str, depth: int) -> list[Any] | dict[str, Any]:
    # Only a map has tuples: one of a key and a value for each entry.
    if value and all(isinstance(entry, tuple) for entry in value):
        return {str(key): _json(inner, name, depth + 1) for key, inner in value}
    return [_json(inner, name, depth + 1) for inner in value]


def _scalar(value: object, name: str) -> str | int | float | None:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        whole = value.as_tuple().exponent == 0
        return int(value) if whole else _finite(float(value), name)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            problem = f"column {quoted(name)} holds bytes that are not UTF-8"
            raise BadRecord(problem, "leave the column out") from None
    raise BadRecord(f"column {quoted(name)} holds a {type(value).__name__}", "leave it out")


def _finite(value: float, name: str) -> float | None:
    if math.isinf(value):
        raise BadRecord(f"column {quoted(name)} holds an infinite number", "write null")
    return None if math.isnan(value) else value


def _microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch without nanoseconds, which Python's times don't have."""
    schema = pa.schema(
        [field.with_type(_without_nanoseconds(field.type)) for field in batch.schema]
    )
    return batch if schema.equals(batch.schema) else batch.cast(schema, safe=False)


def _without_nanoseconds(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", tz=kind.tz)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if pa.types.is_struct(kind):
        fields = [kind.field(at) for at in range(kind.num_fields)]
        return pa.struct([each.with_type(_without_nanoseconds(each.type)) for each in fields])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_without_nanoseconds(kind.value_type)))
    return kind


def _reason(error: Exception) -> str:
    """Return the first sentence of what Arrow says, on one line."""
    return " ".join(str(error).split())[:120].partition(". ")[0].rstrip(".")
