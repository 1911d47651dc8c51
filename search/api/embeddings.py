"""`/v1/embeddings` and `/v1/models`, as OpenAI's clients ask: vectors of the served encoder."""

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from search.api.answers import answer
from search.api.body import read_prepared, validated
from search.api.direct import DirectRoute
from search.api.documentation import body_of, document, parameter
from search.api.embedding_schemas import EmbeddingsAnswer, EmbeddingsBody, ModelAnswer, ModelsAnswer
from search.api.errors import ApiError
from search.api.inputs import read_inputs
from search.api.served import ServedModel, choose_model, served_models
from search.api.state import deadline_of, limits_of, service_of
from search.api.waiting import settled

if TYPE_CHECKING:
    from search.service.embedding import Embedded

router = APIRouter(route_class=DirectRoute, tags=["models"])

_VECTORS: dict[int | str, dict[str, Any]] = {
    200: {"model": EmbeddingsAnswer, "description": "The vectors, in the order of the inputs."}
}
_MODELS: dict[int | str, dict[str, Any]] = {
    200: {"model": ModelsAnswer, "description": "The encoder, and the cross-encoder if one is."}
}
_MODEL: dict[int | str, dict[str, Any]] = {
    200: {"model": ModelAnswer, "description": "A model that is served."}
}
_NAME = {"parameters": [parameter("model", "Its name", example="default", place="path")]}


@router.post(
    "/v1/embeddings",
    summary="Make vectors, as OpenAI does",
    responses={**_VECTORS, **document(404, 408, 413, 415, 422, 504)},
    openapi_extra=body_of(EmbeddingsBody),
)
async def embed(request: Request) -> Response:
    """Encode texts or token ids with the model that the index was built with."""
    limits, service = limits_of(request), service_of(request)

    def prepare(content: object) -> tuple[EmbeddingsBody, list[str] | list[list[int]]]:
        body = validated(EmbeddingsBody, content)
        return body, read_inputs(body.input, limits)

    body, inputs = await read_prepared(request, prepare)
    encoder = choose_model(body.model, served_models(service), "encoder")
    _check_dimensions(body.dimensions, encoder)
    made = await settled(
        request, service.embed(inputs, deadline_of(request), queries=body.input_type == "query")
    )
    written = await asyncio.to_thread(_written, made, encoder.name, body.encoding_format)
    return Response(written, media_type="application/json")


@router.get(
    "/v1/models", summary="List the models, as OpenAI does", responses={**_MODELS, **document()}
)
async def models(request: Request) -> Response:
    """List the models that this service answers with."""
    found = served_models(service_of(request))
    return answer({"object": "list", "data": [each.as_json() for each in found]})


@router.get(
    "/v1/models/{model:any}",
    summary="Describe a model, as OpenAI does",
    responses={**_MODEL, **document(404)},
    openapi_extra=_NAME,
)
async def model(request: Request) -> Response:
    """Describe one of the models; `default` is the encoder where there is one."""
    name = str(request.path_params["model"])
    return answer(choose_model(name, served_models(service_of(request))).as_json())


def _check_dimensions(wanted: int | None, encoder: ServedModel) -> None:
    if wanted in (None, encoder.dimension):
        return
    raise ApiError(
        422,
        f"dimensions is {wanted:,}; {encoder.name} has {encoder.dimension:,} and was not trained "
        "to be cut, so give that or leave it out",
        code="invalid_value", param="dimensions",
    )  # fmt: skip


def _written(made: "Embedded", name: str, encoding: str | None) -> bytes:
    """Return the answer as JSON; a number has the fewest digits that name its float32."""
    vectors = made.vectors
    data = [
        {
            "object": "embedding",
            "index": place,
            "embedding": b64encode(vector.astype("<f4").tobytes()).decode()
            if encoding == "base64"
            else vector,
        }
        for place, vector in enumerate(vectors)
    ]
    content = {
        "object": "list",
        "data": data,
        "model": name,
        "usage": {"prompt_tokens": made.tokens, "total_tokens": made.tokens},
        "truncated": list(made.truncated),
    }
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
