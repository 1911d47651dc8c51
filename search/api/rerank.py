"""`/v1/rerank` and `/v2/rerank`, as Cohere's and Jina's clients ask: texts by their relevance."""

from math import exp
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from search.api.answers import answer
from search.api.body import read_prepared, validated
from search.api.direct import DirectRoute
from search.api.documentation import body_of, document
from search.api.errors import ApiError, within
from search.api.inputs import read_documents
from search.api.rerank_schemas import RerankAnswer, RerankBody
from search.api.served import choose_model, ranking_kind, served_models
from search.api.state import deadline_of, exchange_of, limits_of, service_of
from search.api.waiting import settled
from search.service.settings import Limits

router = APIRouter(route_class=DirectRoute, tags=["models"])

# Of a larger number there is no exponential in float64.
_LARGEST = 709.0

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": RerankAnswer, "description": "The documents by relevance, the best first."},
    **document(404, 408, 413, 415, 422, 504),
}


@router.post(
    "/v1/rerank",
    summary="Rank texts, as Cohere's first interface and Jina do",
    responses=_RESPONSES,
    openapi_extra=body_of(RerankBody),
)
async def rerank_first(request: Request) -> Response:
    """Rank texts by how well they answer a query."""
    return await _ranked(request, "1")


@router.post(
    "/v2/rerank",
    summary="Rank texts, as Cohere's second interface does",
    responses=_RESPONSES,
    openapi_extra=body_of(RerankBody),
)
async def rerank_second(request: Request) -> Response:
    """Rank texts by how well they answer a query."""
    return await _ranked(request, "2")


async def _ranked(request: Request, version: str) -> Response:
    limits, service = limits_of(request), service_of(request)
    body, texts, documents = await read_prepared(request, lambda each: _prepared(each, limits))
    models = served_models(service)
    ranking = choose_model(body.model, models, ranking_kind(models))
    found = await settled(request, service.rank(body.query, texts, deadline_of(request)))
    scores = found.scores
    # By the model's own scores: probabilities near 1 are equal before these are.
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    return answer(
        {
            "id": exchange_of(request).id,
            "object": "rerank",
            "model": ranking.name,
            "results": [
                _result(body, place, scores[place], ranking.kind, documents[place])
                for place in order[: body.top_n]
            ],
            "meta": {
                "api_version": {"version": version},
                "tokens": {"input_tokens": found.tokens},
            },
            "usage": {"prompt_tokens": found.tokens, "total_tokens": found.tokens},
        }
    )


def _prepared(content: object, limits: Limits) -> tuple[RerankBody, list[str], list[Any]]:
    """Read the request: itself, its texts, and the documents that they are of."""
    body = validated(RerankBody, content)
    within(len(body.query), limits.query, param="query", flag="--max-query", counted="characters")
    named = [name for name in ("documents", "texts") if getattr(body, name) is not None]
    if len(named) == 2:
        raise ApiError(
            422, "there are both documents and texts, which are the same; give one of them",
            param="texts",
        )  # fmt: skip
    if not named:
        raise ApiError(422, "documents is missing", code="missing_field", param="documents")
    (name,) = named
    texts, documents = read_documents(getattr(body, name), name, body.rank_fields, limits)
    return body, texts, documents


def _result(
    body: RerankBody, place: int, score: float, kind: str, document: object
) -> dict[str, Any]:
    result: dict[str, Any] = {"index": place, "relevance_score": relevance(score, kind)}
    if body.raw_scores:
        result["raw_score"] = score
    if body.return_documents:
        result["document"] = document
    return result


def relevance(score: float, kind: str) -> float:
    """Return a model's score between 0 and 1: of a logit its sigmoid, of a cosine (1 + cosine) / 2.

    It rises with the score, and is no probability that holds across queries.
    """
    if kind == "encoder":
        return min(max((1 + score) / 2, 0.0), 1.0)
    return 1 / (1 + exp(min(-score, _LARGEST)))
