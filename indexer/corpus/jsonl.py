"""JSON lines: one object a line."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
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
            yield source.line, parse_record(line, fields)


def parse_record(line: bytes, fields: Fields) -> Record | BadRecord:
    """Return the record that one JSON object holds, or what is wrong with it."""
    try:
        value = _parse(decode(line))
        if not isinstance(value, dict):
            raise BadRecord("not a JSON object", "write one {...} a line")
        record = pick(value, fields)
        return replace(record, text=joined(record.text))
    except BadRecord as bad:
        return bad


def joined(text: object) -> object:
    """Return sentences as one text and paragraphs of sentences as lines; all else as it is.

    Sentences are joined by a space where neither the one nor the other has white space.
    """
    if not isinstance(text, list) or not text:
        return text
    if all(isinstance(part, list) for part in text):
        paragraphs = [joined(part) if part else "" for part in text]
        lines = [each for each in paragraphs if isinstance(each, str)]
        return "\n".join(lines) if len(lines) == len(paragraphs) else text
    if not all(isinstance(part, str) for part in text):
        return text
    pieces = [text[0]]
    for before, sentence in pairwise(text):
        glued = not before or not sentence or before[-1].isspace() or sentence[0].isspace()
        pieces += [sentence] if glued else [" ", sentence]
    return "".join(pieces)


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
