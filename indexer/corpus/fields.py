"""From a raw record to a Document: which fields are read, and what their values may be."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from indexer.documents import Document

_DEFAULTS = {
    "id": ("_id", "id", "docid"),
    "title": ("title",),
    "text": ("text", "contents", "body"),
}
# Unicode category Cc without newline and tab, which are part of a text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CONTROL_IN_ID = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
NO_ID = "-"
# Deeper metadata would overflow the stack of whoever writes it as JSON again.
_MAX_DEPTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Name the fields that hold a document's id, title and text; None means the usual names.

    Without `needs_id` no field is read as the id, and every document's is `NO_ID`.
    """

    id: str | None = None
    title: str | None = None
    text: str | None = None
    needs_id: bool = True


DEFAULT_FIELDS = Fields()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Hold the values of one document as its file gives them, before any check."""

    id: Any
    text: Any
    title: Any = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class BadRecord(Exception):
    """Say what is wrong with one line, row or file, and how the user can mend it."""

    def __init__(self, problem: str, remedy: str = "correct it") -> None:
        """Keep the two halves of the message: `problem` and `remedy`, each without a full stop."""
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def decode(data: bytes) -> str:
    """Decode UTF-8 strictly; raise BadRecord naming the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8"
        raise BadRecord(problem, "save the file as UTF-8") from None


def too_long(limit: int) -> BadRecord:
    """Describe a document longer than `limit` bytes."""
    problem = f"a document of more than {limit / 2**20:g} MiB, the limit"
    return BadRecord(problem, "split it, raise the limit")


def find_field(names: Mapping[str, Any], fields: Fields, role: str) -> str | None:
    """Return the name of the field for `role` ("id", "title" or "text"), or None if absent."""
    chosen: str | None = getattr(fields, role)
    candidates = _DEFAULTS[role] if chosen is None else (chosen,)
    return next((name for name in candidates if name in names), None)


def missing_field(names: Mapping[str, Any], fields: Fields, role: str) -> BadRecord:
    """Describe a record with no field for `role`: the names looked for and the names present."""
    chosen: str | None = getattr(fields, role)
    wanted = " or ".join(_DEFAULTS[role] if chosen is None else (quoted(chosen),))
    present = ", ".join(quoted(name) for name in list(names)[:8]) or "nothing"
    return BadRecord(
        f"no {role} field: expected {wanted}, found {present}",
        f"name the field with --{role}",
    )


def pick(values: Mapping[str, Any], fields: Fields) -> Record:
    """Split one record into id, title, text and metadata; raise BadRecord if it cannot be.

    Every other field is metadata. The entries of an object called "metadata" are metadata too, and
    must not repeat the name of another field.
    """
    id_name = find_field(values, fields, "id")
    text_name = find_field(values, fields, "text")
    title_name = find_field(values, fields, "title")
    if id_name is None and fields.needs_id:
        raise missing_field(values, fields, "id")
    if text_name is None:
        raise missing_field(values, fields, "text")
    used = (id_name, text_name, title_name)
    metadata = {name: value for name, value in values.items() if name not in used}
    nested = metadata.get("metadata")
    if isinstance(nested, dict):
        del metadata["metadata"]
        twice = next((name for name in nested if name in metadata), None)
        if twice is not None:
            problem = f"field {quoted(twice)} is given both in the record and in its metadata"
            raise BadRecord(problem, "keep one of the two")
        metadata |= nested
    title = "" if title_name is None else values[title_name]
    id = values[id_name] if id_name is not None and fields.needs_id else NO_ID
    return Record(id=id, title=title, text=values[text_name], metadata=metadata)


def normalise(record: Record) -> tuple[Document, bool]:
    """Turn a record into a Document, and tell whether control characters were replaced.

    In title and text CRLF becomes a newline and every other control character but newline and tab
    becomes a space; a null becomes the empty string. An integer id becomes a string. Raises
    BadRecord for anything that an index could not give back as it was.
    """
    title, replaced_in_title = _clean("title", record.title)
    text, replaced_in_text = _clean("text", record.text)
    _check_metadata(record.metadata)
    document = Document(id=_clean_id(record.id), title=title, text=text, metadata=record.metadata)
    return document, replaced_in_title or replaced_in_text


def _clean_id(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or value == "":
        raise BadRecord("the id is empty", "give every document an id")
    if not isinstance(value, str):
        raise BadRecord(f"the id is {_kind(value)}, not a string", "write it as a string")
    if not value.strip():
        raise BadRecord(f"the id is blank: {quoted(value)}", "give every document an id")
    if _CONTROL_IN_ID.search(value):
        raise BadRecord(f"the id has a control character: {quoted(value)}", "remove it")
    _check_surrogates("id", value)
    return value


def _clean(name: str, value: object) -> tuple[str, bool]:
    if value is None:
        return "", False
    if not isinstance(value, str):
        raise BadRecord(f"the {name} is {_kind(value)}, not a string", "write it as a string")
    _check_surrogates(name, value)
    cleaned, replaced = _CONTROL.subn(" ", value.replace("\r\n", "\n"))
    return cleaned, replaced > 0


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    # A stack of our own: recursion would end in RecursionError before the depth can be named.
    pending: list[tuple[Any, int]] = [(metadata, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise BadRecord(f"metadata nested deeper than {_MAX_DEPTH} levels", "flatten it")
        if isinstance(value, str):
            _check_surrogates("metadata", value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise BadRecord("metadata has a number too large for a float", "write it as a string")
        elif isinstance(value, Mapping):
            pending.extend((key, depth) for key in value)
            pending.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            pending.extend((item, depth + 1) for item in value)


def _check_surrogates(name: str, value: str) -> None:
    if not value.isascii() and _SURROGATE.search(value):
        raise BadRecord(f"the {name} has half a surrogate pair", "write the whole character")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a number"


def quoted(value: str) -> str:
    """Return a string in quotes on one line, cut to what fits a message."""
    return repr(value if len(value) <= 40 else value[:40] + "…")
