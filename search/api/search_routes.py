"""`/v1/search`: one query or several, in a body or in a URL."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from indexer.errors import ClozeError
from search.api.answer_schemas import ManyResultsAnswer, ResultsAnswer
from search.api.answers import answer, results_json
from search.api.asking import Asked, asked_in_body, asked_in_url
from search.api.body import SMALL, read_prepared
from search.api.direct import DirectRoute
from search.api.documentation import body_of, document, parameter, parameters_of
from search.api.errors import ApiError
from search.api.schemas import SearchBody, SearchOptions
from search.api.state import deadline_of, exchange_of, limits_of, refused, service_of
from search.api.waiting import settled
from search.hits import Results

router = APIRouter(route_class=DirectRoute, tags=["search"])

_FOUND: dict[int | str, dict[str, Any]] = {
    200: {"model": ResultsAnswer | ManyResultsAnswer, "description": "The hits, best first."}
}
# Hits that are written where they come, in under a millisecond; more go to a thread of their own.
_FEW = 100
_Q = parameter("q", "What to find", example="laminar flow", required=True)


@router.post(
    "/v1/search",
    summary="Search, with one query or several",
    responses={**_FOUND, **document(408, 413, 415, 422, 504)},
    openapi_extra=body_of(SearchBody),
)
async def search(request: Request) -> Response:
    """Answer one query with a page of hits, or several queries at one commit of the index."""
    limits, served = limits_of(request), service_of(request).settings.rerank
    asked = await read_prepared(request, lambda content: asked_in_body(content, limits, served))
    return await _answered(request, asked)


@router.get(
    "/v1/search",
    summary="Search, with a URL alone",
    responses={**_FOUND, **document(422, 504)},
    openapi_extra={"parameters": [_Q, *parameters_of(SearchOptions)]},
)
async def search_by_url(request: Request) -> Response:
    """Answer one query; facets are field names divided by commas."""
    limits, served = limits_of(request), service_of(request).settings.rerank
    text: bytes = request.scope["query_string"]
    if len(text) <= SMALL:
        return await _answered(request, asked_in_url(text, limits, served))
    return await _answered(request, await asyncio.to_thread(asked_in_url, text, limits, served))


async def _answered(request: Request, asked: Asked) -> Response:
    service = service_of(request)
    found = await settled(request, service.search(asked.requests, deadline_of(request)))
    results = [_sound(request, asked, place, each) for place, each in enumerate(found)]
    stages = exchange_of(request).stages
    for each in results:
        for stage, took in each.took_ms.items():
            stages[stage] = stages.get(stage, 0.0) + took
    if sum(len(each.hits) for each in results) <= _FEW:
        return _written(asked, results)
    return await asyncio.to_thread(_written, asked, results)


def _written(asked: Asked, results: Sequence[Results]) -> Response:
    told = [results_json(each) for each in results]
    if not asked.many:
        return answer(told[0])
    return answer({"results": told, "index_version": results[0].index_version})


def _sound(request: Request, asked: Asked, place: int, found: Results | ClozeError) -> Results:
    """Return a query's answer; one that failed fails them all."""
    if isinstance(found, Results):
        return found
    error = refused(request, found)
    if error.status != 422:
        raise found
    if not asked.many:
        raise error from found
    raise ApiError(
        422, f"query {place + 1} of {len(asked.requests)}: {error.message}",
        code=error.code, param=error.param or f"queries[{place}]",
    ) from found  # fmt: skip
