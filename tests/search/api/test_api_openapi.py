"""The OpenAPI document, and spans for OpenTelemetry."""

import json
import sys
from typing import Any

import pytest
from starlette.testclient import TestClient

from indexer.errors import ClozeError
from search.api.app import create_app
from search.api.exchange import Exchange
from search.api.keys import Key, Keys, digest_of
from search.api.schemas import PutBody, SearchBody
from search.api.settings import ApiSettings
from search.api.tracing import Tracing, tracing
from search.service.settings import Limits, ServiceSettings
from tests.search.api.stubs import StubService

OWN = {
    "/v1/search": {"get", "post"},
    "/v1/documents": {"put"},
    "/v1/documents/{id}": {"get", "delete"},
    "/v1/documents/delete": {"post"},
    "/v1/index": {"get"},
    "/v1/index/compact": {"post"},
    "/health/live": {"get"},
    "/health/ready": {"get"},
    "/metrics": {"get"},
}


KEY = {"X-API-Key": "reading"}
TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


def document(**options: Any) -> dict[str, Any]:  # noqa: ANN401
    service = StubService(settings=ServiceSettings(limits=Limits(top=77, query=99)))
    app = create_app(service, ApiSettings(access_log=False, **options))  # type: ignore[arg-type]
    told: dict[str, Any] = app.openapi()
    served = TestClient(app, "http://127.0.0.1:8000", headers=KEY).get("/openapi.json").json()
    assert served == json.loads(json.dumps(told))
    return told


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return document()


def references(value: Any) -> set[str]:  # noqa: ANN401
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def test_every_route_is_told(told: dict[str, Any]) -> None:
    assert {path: set(told["paths"][path]) for path in OWN} == OWN


def test_every_reference_leads_somewhere(told: dict[str, Any]) -> None:
    names = {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}
    assert references(told) <= names


def test_every_error_has_a_schema_and_an_example(told: dict[str, Any]) -> None:
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            statuses = set(operation["responses"])
            everywhere = {"400", "401", "403", "421", "429", "431", "500", "503"}
            assert everywhere <= statuses, (path, method)
            for status in statuses - {"200", "202"}:
                content = operation["responses"][status]["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}
                error = content["example"]["error"]
                assert error.keys() == {"code", "message", "type", "param", "id"}
                assert error["param"] == ("query" if status == "422" else None)
                assert status != "413" or error["code"] == "limit_exceeded"


def test_a_body_is_told_with_an_example(told: dict[str, Any]) -> None:
    schemas = told["components"]["schemas"]
    for path in ("/v1/search", "/v1/documents/delete"):
        body = told["paths"][path]["post"]["requestBody"]
        name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert "example" in schemas[name]
        assert schemas[name]["additionalProperties"] is False
    SearchBody.model_validate(schemas[SearchBody.__name__]["example"])
    PutBody.model_validate(schemas[PutBody.__name__]["example"])


def test_limits_are_told(told: dict[str, Any]) -> None:
    search = told["components"]["schemas"]["SearchBody"]["properties"]
    assert (search["top"]["maximum"], search["query"]["maxLength"]) == (77, 99)
    parameters = {each["name"]: each for each in told["paths"]["/v1/search"]["get"]["parameters"]}
    assert parameters["top"]["schema"] == {"maximum": 77, "minimum": 0, "type": "integer"}
    assert parameters["q"]["required"] is True
    assert parameters["facets"]["explode"] is False
    assert parameters["filter"]["schema"] == {"type": "string"}
    assert set(parameters) - {"q"} == set(search) - {"query", "queries"}


def test_keys_are_told_where_they_are_needed(told: dict[str, Any]) -> None:
    assert "securitySchemes" not in told["components"]
    keyed = document(keys=Keys(keys=(Key(digest=digest_of("reading"), scope="read", name="r"),)))
    assert keyed["paths"]["/v1/search"]["post"]["security"] == [{"bearer": []}, {"header": []}]
    assert keyed["paths"]["/health/live"]["get"]["security"] == []


def test_no_spans_unless_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    assert tracing() is None


@pytest.mark.parametrize("which", ["OTEL_EXPORTER_OTLP_ENDPOINT", TRACES])
def test_spans_need_their_extra(monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setenv(which, "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ClozeError, match=rf"^{which} asks for traces.*cloze-search\[tracing\]"):
        tracing()


def test_a_span_for_each_request() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="the extra `tracing` is absent")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace = Tracing(provider.get_tracer("test"))
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    exchange = Exchange(id="mine", headers={b"traceparent": parent})
    exchange.status = 200
    exchange.stages |= {"lexical": 1.5, "total": 2.0}
    trace({"path": "/v1/documents/a", "method": "GET"}, exchange)
    (span,) = exporter.get_finished_spans()
    told: Any = span.attributes
    assert span.name == "GET /v1/documents/{id}"
    assert told["http.response.status_code"] == 200
    assert told["cloze.request_id"] == "mine"
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        ("lexical", {"ms": 1.5}),
        ("total", {"ms": 2.0}),
    ]
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert 0 < (span.start_time or 0) <= (span.end_time or 0)
