"""`/v1/index`: what is served, and its compaction."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from search.api.answer_schemas import CompactionAnswer, IndexAnswer
from search.api.answers import answer
from search.api.direct import DirectRoute
from search.api.documentation import document
from search.api.state import deadline_of, names_of, service_of
from search.api.waiting import settled

router = APIRouter(route_class=DirectRoute, tags=["index"])

_RUNNING: dict[int | str, dict[str, Any]] = {
    202: {"model": CompactionAnswer, "description": "A compaction has begun, or goes on."}
}


@router.get(
    "/v1/index",
    summary="Describe the index",
    responses={
        200: {"model": IndexAnswer, "description": "What the index holds and how it is served."},
        **document(504),
    },
)
async def describe(request: Request) -> Response:
    """Tell the index's size, fields, models, modes and defaults."""
    found = await settled(request, service_of(request).describe(deadline_of(request)))
    names = names_of(request)
    told = {each.name: getattr(found, each.name) for each in fields(found)}
    defaults = asdict(found.defaults)
    if defaults["rerank"] is not None and Path(defaults["rerank"]).is_absolute():
        defaults["rerank"] = Path(defaults["rerank"]).name
    return answer({**told, "defaults": defaults, "compaction": names.hide(found.compaction)})


@router.post(
    "/v1/index/compact",
    summary="Compact the index",
    status_code=202,
    responses={**_RUNNING, **document(415)},
)
async def compact(request: Request) -> Response:
    """Begin to make the index what a fresh build would be; searches and writes go on meanwhile."""
    service_of(request).compact()
    return answer({"compaction": "running"}, status=202)
