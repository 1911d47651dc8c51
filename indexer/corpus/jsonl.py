"""JSON lines: one object a line."""

import json
from collections.abc import Iterator
from typing import NoReturn

from indexer.corpus.entries import Row
from indexer.corpus.fields import BadRecord, Fields, Record, decode, pick, too_long
from indexer.corpus.lines import Source


def read_json_lines(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield one row for each line that is not blank; a line that is no JSON object is bad."""
    for line in source.lines():
        if line is None:
            yield source.line, too_long(source.limit)
        elif not line.isspace():
            yield source.line, _record(line, fields)


def _record(line: bytes, fields: Fields) -> Record | BadRecord:
    try:
        value = _parse(decode(line))
        if not isinstance(value, dict):
            raise BadRecord("not a JSON object", "write one {...} a line")
        return pick(value, fields)
    except BadRecord as bad:
        return bad


def _parse(line: str) -> object:
    try:
        value: object = json.loads(line, parse_constant=_refuse_constant)
        return value
    except json.JSONDecodeError as error:
        raise BadRecord(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise BadRecord("JSON nested too deep", "flatten it") from None
    except ValueError:
        # The interpreter converts no integer of more than sys.get_int_max_str_digits() digits.
        raise BadRecord("a number with too many digits", "write it as a string") from None


def _refuse_constant(name: str) -> NoReturn:
    raise BadRecord(f"{name} is not JSON", "write null or a string")
