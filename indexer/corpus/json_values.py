"""A .json file: an array of objects, or objects one after another, however they are laid out."""

import re
from collections.abc import Iterator

from indexer.corpus.entries import Row
from indexer.corpus.fields import BadRecord, Fields, too_long
from indexer.corpus.jsonl import parse_record
from indexer.corpus.lines import Source

_CHUNK = 1 << 16
_IN_STRING = re.compile(rb'["\\]')
_OUTSIDE = re.compile(rb'["\[\]{},]')


def read_json(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield one row for each object of an array, or each that stands on its own.

    Strings and brackets are followed through pieces of the file, so that no more than one object is
    held, and one that is wrong or too long is left out alone.
    """
    for line, value in _values(source):
        if isinstance(value, BadRecord):
            yield line, value
        elif value:
            yield line, parse_record(value, fields)


def _values(source: Source) -> Iterator[tuple[int, bytes | BadRecord]]:
    """Yield the bytes of each value, with the line that its first bytes are on."""
    scanner = _Scanner(source.limit)
    while piece := source.piece(_CHUNK):
        yield from scanner.feed(piece, source.line)
    yield from scanner.finish(source.line)


class _Scanner:
    """Cut the text of a file into values, wherever its pieces end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._array: bool | None = None  # unknown before the first byte that is not white space
        self._depth = 0
        self._closed = False  # the array, for good
        self._in_string = False
        self._escaped = False
        self._parts: list[bytes] = []
        self._size = 0
        self._line = 0

    def feed(self, piece: bytes, line: int) -> Iterator[tuple[int, bytes | BadRecord]]:
        """Take the next piece, all of one line, and yield the values that end in it."""
        start = self._begin(piece)
        at = start
        while at < len(piece) and not self._closed:
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (_IN_STRING if self._in_string else _OUTSIDE).search(piece, at)
            if found is None:
                break
            at = found.end()
            if self._step(found[0]):
                # An object that stands alone ends with its bracket, an element before the comma.
                self._keep(piece[start : at - 1 if self._array else at], line)
                yield self._value()
                start = at
        self._keep(piece[start:], line)

    def finish(self, line: int) -> Iterator[tuple[int, bytes | BadRecord]]:
        """Yield what is left at the end of the file."""
        number, rest = self._value()
        if self._array and not self._closed:
            yield number or line, BadRecord("the array has no end", "get the file again")
        elif self._closed and rest:
            yield number, BadRecord("something follows the end of the array", "remove it")
        elif rest:
            yield number, rest

    def _begin(self, piece: bytes) -> int:
        """Tell an array from objects at the first byte, and return where its content begins."""
        content = piece.lstrip()
        if self._array is not None or not content:
            return 0
        self._array = content.startswith(b"[")
        return len(piece) - len(content) + self._array

    def _step(self, sign: bytes) -> bool:
        """Follow one sign; tell whether a value ends with it."""
        if self._in_string:
            self._escaped = sign == b"\\"
            self._in_string = self._escaped
            return False
        if sign == b'"':
            self._in_string = True
        elif sign in b"[{":
            self._depth += 1
        elif sign in b"]}":
            self._depth -= 1
            self._closed = bool(self._array) and self._depth < 0
            return self._closed or (not self._array and self._depth <= 0)
        return sign == b"," and self._depth == 0 and bool(self._array)

    def _keep(self, part: bytes, line: int) -> None:
        if not self._size:
            part = part.lstrip()
            self._line = line
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _value(self) -> tuple[int, bytes | BadRecord]:
        """Return the value kept, and begin another."""
        value = b"".join(self._parts).rstrip()
        if not self._array:
            self._depth = 0
        too_large = self._size > self._limit
        self._parts.clear()
        self._size = 0
        return self._line, too_long(self._limit) if too_large else value
