"""Answers as JSON."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import orjson
from starlette.responses import Response

from search.hits import Hit, Results

_HIT = tuple(field.name for field in fields(Hit))
_RESULTS = tuple(field.name for field in fields(Results))
_NOT_ALWAYS = frozenset({"facets", "plan", "duplicates", "explanation", "probability"})


def answer(content: object, status: int = 200) -> Response:
    """Return an answer of JSON: dictionaries, lists, dataclasses and scalars."""
    return Response(encoded(content), status, media_type="application/json")


def encoded(content: object) -> bytes:
    """Return JSON in UTF-8; what orjson can't write, as integers beyond 64 bits, json does."""
    try:
        return orjson.dumps(content, default=_plain)
    except TypeError:
        return json.dumps(content, ensure_ascii=False, default=_plain).encode()


def results_json(results: Results) -> dict[str, Any]:
    """Return what `Results.as_json` does, but leave the copying of all within to the encoder."""
    whole = _shallow(results, _RESULTS)
    whole["hits"] = [_shallow(hit, _HIT) for hit in results.hits]
    return whole


def _shallow(record: object, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in names}
    for name in _NOT_ALWAYS & values.keys():
        if values[name] is None:
            del values[name]
    return values


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    # The fallback's way with a dataclass, which orjson writes by itself.
    return {field.name: getattr(value, field.name) for field in fields(value)}  # type: ignore[arg-type]
