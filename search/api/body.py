"""A request's body: read within its limits, parsed as JSON, held against its schema."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from search.api.errors import ApiError, ClientLeft
from search.api.mistakes import tell_mistake
from search.api.state import limits_of, settings_of

Model = TypeVar("Model", bound=BaseModel)
Prepared = TypeVar("Prepared")

MAX_DEPTH = 128
# Bytes of a request that are read where they come; what is larger goes to a thread, because the
# loop has others to answer: a filter takes about 3 ms for each kB of its text.
SMALL = 1 << 10
# Of fewer digits every integer has its place in 64 bits; orjson makes a float of what has none.
_LONG = re.compile(rb"[0-9]{19}")


async def read_model(request: Request, model: type[Model]) -> Model:
    """Read a request's body as a model, whose mistakes are told in one sentence.

    Raises:
        ApiError: 400, 408, 413 or 422.
        ClientLeft: the connection was closed before the body's end.
    """
    return await read_prepared(request, lambda content: validated(model, content))


async def read_prepared(request: Request, prepare: Callable[[Any], Prepared]) -> Prepared:
    """Read a request's body as JSON, and make of it what the route needs.

    `prepare` may take its time: for a large body it runs in a thread.

    Raises:
        ApiError: 400, 408 or 413, and what `prepare` raises.
        ClientLeft: the connection was closed before the body's end.
    """
    body = await read_body(request)
    if len(body) <= SMALL:
        return prepare(parse(body))
    return await asyncio.to_thread(lambda: prepare(parse(body)))


async def read_body(request: Request) -> bytes:
    """Read a request's body, and stop as soon as it is too large or too slow.

    Raises:
        ApiError: 408 or 413.
        ClientLeft: the connection was closed before the body's end.
    """
    most = limits_of(request).body
    declared = request.headers.get("content-length", "")
    if declared and not (declared.isdecimal() and len(declared) < 20):
        raise ApiError(400, "the Content-Length is no length; send the body's bytes in digits")
    if declared and int(declared) > most:
        raise _too_large(int(declared), most)
    seconds = settings_of(request).body_seconds
    try:
        async with asyncio.timeout(seconds):
            return await _receive_all(request, most)
    except TimeoutError:
        raise ApiError(
            408, f"the body took longer than {seconds:g} s; send it faster, or less of it",
            headers={"Connection": "close"},
        ) from None  # fmt: skip


async def _receive_all(request: Request, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _too_large(size, most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large(size: int, most: int) -> ApiError:
    return ApiError(413, f"the body has {size:,} bytes or more; at most {most:,} (--max-body)")


def parse(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Parse JSON in UTF-8, without NaN or half characters, and not nested deeper than 128.

    Integers are exact, also those beyond 64 bits, as they are in an index.

    Raises:
        ApiError: 400.
    """
    if not body.strip():
        raise ApiError(400, "the body is empty; it must be a JSON object")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from None
    # Without that many brackets nothing can be so deep.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(content)
    # Having passed the stricter one, it is JSON for Python's parser too.
    return json.loads(body) if _LONG.search(body) else content


def _check_depth(content: object) -> None:
    level = [content]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise ApiError(400, f"the body is nested deeper than {MAX_DEPTH} levels; flatten it")


def validated(model: type[Model], content: object) -> Model:
    """Hold parsed JSON against a model.

    Raises:
        ApiError: 422, with the first mistake.
    """
    if not isinstance(content, dict):
        raise ApiError(422, "the body must be a JSON object")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        told = tell_mistake(error, content)
        raise ApiError(422, told.message, code=told.code, param=told.param) from None
