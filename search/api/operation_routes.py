"""`/health/*` and `/metrics`: for who keeps the service running."""

import asyncio
from contextlib import suppress
from time import monotonic
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from indexer.errors import ClozeError
from search.api.answer_schemas import HealthAnswer
from search.api.answers import answer
from search.api.direct import DirectRoute
from search.api.documentation import document
from search.api.errors import ApiError, unavailable
from search.api.state import metrics_of, service_of
from search.api.waiting import settled

router = APIRouter(route_class=DirectRoute, tags=["operations"])

# Seconds that a scrape waits for the index's turn.
_PATIENCE = 2.0
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The figures in Prometheus's text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/health/live",
    summary="Is the process alive?",
    responses={200: {"model": HealthAnswer, "description": "It is."}, **document()},
)
async def live(request: Request) -> Response:
    """Answer as long as the process can."""
    return answer({"status": "live"})


@router.get(
    "/health/ready",
    summary="Does the service answer?",
    responses={200: {"model": HealthAnswer, "description": "It does."}, **document()},
)
async def ready(request: Request) -> Response:
    """Answer 200 while searches are answered, else 503."""
    if not service_of(request).ready:
        raise unavailable("the service does not answer; its log has the reason")
    return answer({"status": "ready"})


@router.get("/metrics", summary="Figures for Prometheus", responses={**_TEXT, **document()})
async def metrics(request: Request) -> Response:
    """Return counters and histograms of requests, stages, batches and the index's size."""
    service, collected = service_of(request), metrics_of(request)
    collected.flying(service.in_flight)
    if collected.index_is_old():
        collected.forget_index()
        # A service that can't tell now is no reason to keep the other figures back.
        with suppress(ClozeError, ApiError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                found = await settled(request, service.describe(monotonic() + _PATIENCE))
            collected.index(
                documents=found.documents, passages=found.passages, bytes=found.size_bytes
            )
    return Response(collected.text(), media_type=collected.media_type)
