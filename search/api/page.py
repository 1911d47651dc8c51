"""The search page's files, as they are in `search.web`, and the headers that keep it to itself.

Those that every answer has (nosniff, no referrer) come from `search.api.front`.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request, Response

from search.api.errors import ApiError

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # No string becomes markup or code, and nothing may say that one is safe.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
}
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_START: Final = "index.html"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PageFile:
    """A file of the page with its media type and its strong ETag."""

    content: bytes
    media_type: str
    etag: str


def _read() -> dict[str, _PageFile]:
    found = {}
    for entry in files("search.web").iterdir():
        media_type = _TYPES.get("." + entry.name.rpartition(".")[2])
        if media_type is not None:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[entry.name] = _PageFile(content=content, media_type=media_type, etag=etag)
    return found


# Read once: a name in a request chooses among these and never becomes a path.
_FILES: Final = _read()


@router.get("/")
def page(request: Request) -> Response:
    """Answer with the page."""
    return _answer(request, _FILES[_START])


@router.get("/assets/{name}")
def asset(request: Request, name: str) -> Response:
    """Answer with one of the page's styles or modules.

    Raises:
        ApiError: 404, the page has no such file.
    """
    file = _FILES.get(name)
    if file is None or name == _START:
        raise ApiError(404, "the page has no such file")
    return _answer(request, file)


def _answer(request: Request, file: _PageFile) -> Response:
    headers = {**_HEADERS, "ETag": file.etag}
    if _knows(request.headers.get("If-None-Match", ""), file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def _knows(condition: str, etag: str) -> bool:
    """Tell whether If-None-Match names the ETag; it compares weakly (RFC 9110, 13.1.2)."""
    named = {each.strip().removeprefix("W/") for each in condition.split(",")}
    return etag in named or "*" in named
