"""`/v1/documents`: read one, put some, delete by id or by filter."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from indexer.documents import Document
from search.api.answer_schemas import DocumentAnswer, WrittenAnswer
from search.api.answers import answer
from search.api.body import read_prepared, validated
from search.api.conditions import read_condition
from search.api.direct import DirectRoute
from search.api.documentation import body_of, document, parameter
from search.api.errors import ApiError, late_write, within
from search.api.identifiers import ANY
from search.api.schemas import DeleteBody, PutBody
from search.api.state import deadline_of, limits_of, names_of, service_of
from search.api.waiting import settled
from search.service.settings import Limits
from search.service.writes import Written

router = APIRouter(route_class=DirectRoute, tags=["documents"])

_PATH = f"/v1/documents/{{id:{ANY}}}"
_PREFIX = b"/v1/documents/"
_ID = {
    "parameters": [
        parameter("id", "The document's id, percent-encoded", example="d1", place="path")
    ]
}
_SHOWN = ("id", "title", "text", "metadata")
_WRITTEN: dict[int | str, dict[str, Any]] = {
    200: {"model": WrittenAnswer, "description": "The change is on disk and searchable."}
}


@router.get(
    _PATH,
    summary="Read a document",
    responses={
        200: {"model": DocumentAnswer, "description": "The document as it was put."},
        **document(404, 422, 504),
    },
    openapi_extra=_ID,
)
async def read(request: Request) -> Response:
    """Return a document; spans of hits are code points of its text."""
    id = _id_of(request)
    found = await settled(request, service_of(request).document(id, deadline_of(request)))
    if found is None:
        raise _unknown(id)
    document = {name: getattr(found.document, name) for name in _SHOWN}
    return answer(document | {"index_version": found.version})


@router.put(
    "/v1/documents",
    summary="Add or replace documents",
    responses={**_WRITTEN, **document(408, 413, 415, 422, 504)},
    openapi_extra=body_of(PutBody),
)
async def put(request: Request) -> Response:
    """Add documents, and replace those that have one of their ids; all of them or none."""
    limits = limits_of(request)
    documents = await read_prepared(request, lambda content: _documents(content, limits))
    written = service_of(request).put(documents, deadline_of(request))
    return _told(request, await settled(request, written, late_write))


@router.delete(
    _PATH,
    summary="Delete a document",
    responses={**_WRITTEN, **document(404, 422, 504)},
    openapi_extra=_ID,
)
async def delete(request: Request) -> Response:
    """Delete a document by its id."""
    id = _id_of(request)
    written = await settled(
        request, service_of(request).delete([id], deadline_of(request)), late_write
    )
    if written.deleted == 0:
        raise _unknown(id)
    return _told(request, written)


@router.post(
    "/v1/documents/delete",
    summary="Delete by a filter",
    responses={**_WRITTEN, **document(408, 413, 415, 422, 504)},
    openapi_extra=body_of(DeleteBody),
)
async def delete_matching(request: Request) -> Response:
    """Delete every document that a filter passes."""
    limits = limits_of(request)

    condition = await read_prepared(
        request, lambda content: read_condition(validated(DeleteBody, content).filter, limits)
    )
    written = service_of(request).delete_matching(condition, deadline_of(request))
    return _told(request, await settled(request, written, late_write))


def _documents(content: object, limits: Limits) -> Sequence[Document]:
    sent = content.get("documents") if isinstance(content, dict) else None
    within(  # before a second goes into documents that are too many
        len(sent) if isinstance(sent, list) else 0, limits.documents, param="documents",
        flag="--max-documents", counted="documents",
    )  # fmt: skip
    documents = validated(PutBody, content).documents
    places: dict[str, int] = {}
    for place, each in enumerate(documents):
        for part in ("title", "text"):
            within(
                len(getattr(each, part)), limits.text, param=f"documents[{place}].{part}",
                flag="--max-text", counted="characters",
            )  # fmt: skip
        if (other := places.setdefault(each.id, place)) != place:
            raise ApiError(
                422, f"documents[{place}].id is that of documents[{other}] too; send an id once",
                param=f"documents[{place}].id",
            )  # fmt: skip
    return [
        Document(id=each.id, title=each.title, text=each.text, metadata=each.metadata)
        for each in documents
    ]


def _id_of(request: Request) -> str:
    """Return the id in a URL's path, slashes and all."""
    raw: bytes = request.scope["raw_path"]
    if not raw.startswith(_PREFIX):  # it is another path until it is decoded
        raise ApiError(404, "there is no such path; write /v1/documents/ as it is")
    try:
        id = unquote_to_bytes(raw.removeprefix(_PREFIX)).decode()
    except UnicodeDecodeError:
        raise ApiError(422, "the id in the URL is not UTF-8; percent-encode it so") from None
    if not id:
        raise ApiError(404, "there is no id in the URL; it is /v1/documents/ID")
    return id


def _told(request: Request, written: Written) -> Response:
    names = names_of(request)
    return answer(
        {
            "added": written.added,
            "updated": written.updated,
            "unchanged": written.unchanged,
            "deleted": written.deleted,
            "index_version": written.version,
            "notices": [names.hide(each) for each in written.notices],
        }
    )


def _unknown(id: str) -> ApiError:
    shown = id if len(id) <= 100 else id[:100] + "..."
    return ApiError(404, f"there is no document {shown!r}", param="id")
