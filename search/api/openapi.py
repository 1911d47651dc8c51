"""The OpenAPI document: what FastAPI knows, and what only this service does."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from search.api.documentation import REFERENCE
from search.api.embedding_schemas import EmbeddingsBody
from search.api.paths import is_public
from search.api.rerank_schemas import RerankBody
from search.api.schemas import DeleteBody, PutBody, SearchBody
from search.service.settings import Limits

_BODIES = (SearchBody, PutBody, DeleteBody, EmbeddingsBody, RerankBody)
_ABOUT = (
    "Search by BM25, by vectors and by both; documents that are written are searchable at once. "
    "Spans are code points of a document's text. Every error is JSON with a sentence and an id."
)
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer KEY"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def describe_api(app: FastAPI, limits: Limits, *, keyed: bool) -> None:
    """Let an app describe itself with its limits, the bodies that it reads, and its keys."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, limits, keyed=keyed)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _document(app: FastAPI, limits: Limits, *, keyed: bool) -> dict[str, Any]:
    document = get_openapi(
        title="cloze", version="1", summary="A search engine with BERT inside",
        description=_ABOUT, routes=app.routes,
    )  # fmt: skip
    schemas = document["components"]["schemas"]
    _, told = models_json_schema(
        [(model, "validation") for model in _BODIES], ref_template=REFERENCE
    )
    schemas |= told["$defs"]
    _restore_nulls(document)
    _limit(document, limits)
    if keyed:
        document["components"]["securitySchemes"] = _KEYS
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if is_public(path) else [{key: []} for key in _KEYS]
    return document


def _restore_nulls(document: Mapping[str, Any]) -> None:
    """Give the examples of errors their null again, which FastAPI leaves out."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                for content in response["content"].values():
                    if "example" in content:
                        content["example"]["error"].setdefault("param", None)


def _limit(document: Mapping[str, Any], limits: Limits) -> None:
    """Tell the limits of numbers and lists, which are the operator's."""
    maxima = _maxima(limits)
    search = document["components"]["schemas"][SearchBody.__name__]["properties"]
    for name, limit in maxima.items():
        _tell(search[name], limit)
    for parameter in document["paths"]["/v1/search"]["get"]["parameters"]:
        if parameter["name"] in maxima:
            _tell(parameter["schema"], maxima[parameter["name"]])


def _maxima(limits: Limits) -> dict[str, tuple[str, int]]:
    return {
        "query": ("maxLength", limits.query),
        "queries": ("maxItems", limits.batch),
        "top": ("maximum", limits.top),
        "offset": ("maximum", limits.reach),
        "depth": ("maximum", limits.reach),
        "passages": ("maximum", limits.passages),
        "rerank_depth": ("maximum", limits.rerank_depth),
        "facets": ("maxItems", limits.facets),
    }


def _tell(schema: dict[str, Any], limit: tuple[str, int]) -> None:
    forms = [form for form in schema.get("anyOf", [schema]) if form.get("type") != "null"]
    forms[0][limit[0]] = limit[1]
