"""JSON lines: an object with named fields a line."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from indexer.corpus.fields import BadRecord
from indexer.corpus.lines import Source
from training.pairs.fields import check_names, read_row, unread
from training.pairs.file_rows import text_of
from training.pairs.row import Placed, Row


def read_json_lines(source: Source, ignored: Counter[str]) -> Iterator[Placed]:
    """Yield a row for each line that is not blank, and count the fields that are not read."""
    checked: dict[tuple[str, ...], list[str]] = {}
    for line in source.lines():
        if line is not None and line.isspace():
            continue
        try:
            values = parse_object(text_of(line))
            names = tuple(values)
            if names not in checked:
                check_names(names)
                checked[names] = unread(names)
            ignored.update(checked[names])
            found: Row | BadRecord = read_row(values)
        except BadRecord as bad:
            found = bad
        yield source.line, found


def parse_object(text: str) -> dict[str, Any]:
    """Parse one JSON object.

    Raises:
        BadRecord: it is none.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text.strip() else ""
        raise BadRecord(f"not JSON: {error.msg} at {line}column {error.colno}") from None
    except RecursionError:
        raise BadRecord("JSON nested too deep", "flatten it") from None
    except ValueError:
        # The interpreter converts no integer of more than sys.get_int_max_str_digits() digits.
        raise BadRecord("a number with too many digits", "write it as a string") from None
    if not isinstance(value, dict):
        raise BadRecord("not a JSON object", "write {...}")
    return value
