"""What the OpenAPI document tells of a route beside its answers: errors, bodies, parameters."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from search.api.answer_schemas import ErrorAnswer
from search.api.errors import KINDS

# Where FastAPI has the schemas of models.
REFERENCE = "#/components/schemas/{model}"

# What the server, the guards and any route may answer.
_ANYWHERE = (400, 401, 403, 421, 429, 431, 500, 503)
_TOLD: Mapping[int, str] = {
    400: "The body is not JSON, not UTF-8 or nested too deep, or a header is missing or repeated.",
    401: "There is no key, or an unknown one.",
    403: "The key may only read, the service is read-only, or a foreign web page asks.",
    404: "There is no such document, model or path.",
    408: "The body came too slowly.",
    413: "The body is larger than allowed.",
    415: "The body is not declared to be application/json.",
    421: "The Host is not one that the service answers for.",
    422: "Something in the request is wrong or beyond a limit; the message says what.",
    429: "Too many requests are in flight, or this key's rate is used up: see Retry-After.",
    431: "The request's head is larger than allowed.",
    500: "The server failed; its log has the reason under the id.",
    503: "The service is not ready or is stopping: see Retry-After.",
    504: "The answer took longer than allowed.",
}


def document(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a route's errors: these, and those that any route has."""
    return {status: _error(status) for status in sorted({*statuses, *_ANYWHERE})}


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the documentation of a route whose body is such a model.

    Routes read their bodies themselves, so FastAPI does not know of them.
    """
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def parameter(
    name: str, description: str, *, example: str, place: Literal["query", "path"] = "query",
    required: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return the documentation of a string in a URL."""
    return {
        "name": name,
        "in": place,
        "required": required or place == "path",
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def parameters_of(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the documentation of a model's fields as a URL's parameters."""
    schema = model.model_json_schema(ref_template=REFERENCE)
    return [_parameter(name, told) for name, told in schema["properties"].items()]


def _parameter(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    # A URL has no null and no object: what is left out is the default.
    forms = [
        form for form in told.get("anyOf", [told]) if form.get("type") not in ("null", "object")
    ]
    schema: dict[str, Any] = forms[0] if len(forms) == 1 else {"anyOf": forms}
    kept = {"title", "description", "examples", "default"}
    schema = {key: value for key, value in schema.items() if key not in kept}
    parameter = {
        "name": name, "in": "query", "required": False, "description": told["description"],
        "schema": schema,
    }  # fmt: skip
    if schema.get("type") == "array":
        parameter |= {"style": "form", "explode": False}
    return parameter


def _error(status: int) -> dict[str, Any]:
    code, type_ = KINDS[status]
    example = {
        "code": code, "message": _TOLD[status], "type": type_,
        "param": "query" if status == 422 else None, "id": "5f0c2a9e17b3",
    }  # fmt: skip
    told: dict[str, Any] = {
        "description": _TOLD[status],
        "model": ErrorAnswer,
        "content": {"application/json": {"example": {"error": example}}},
    }
    if status in (429, 503):
        seconds = {"description": "Seconds to wait", "schema": {"type": "integer"}}
        told["headers"] = {"Retry-After": seconds}
    return told
