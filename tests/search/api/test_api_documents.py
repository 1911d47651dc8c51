"""`/v1/documents`, `/v1/index`, `/health` and `/metrics`."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from indexer.documents import Document
from indexer.filters import parse
from indexer.manifest import Defaults, EncoderSeal
from search.api.answer_schemas import DefaultsAnswer, EncoderAnswer, FieldAnswer, IndexAnswer
from search.api.app import create_app
from search.api.settings import ApiSettings
from search.service.description import Described, Field
from search.service.errors import StoppingError
from search.service.settings import Limits, ServiceSettings
from search.service.writes import Written
from tests.search.api.stubs import DESCRIBED, StubService, stubbed

SETTINGS = ServiceSettings(limits=Limits(documents=2, text=10))


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[StubService, TestClient]]:
    with stubbed(SETTINGS) as both:
        yield both


@pytest.fixture
def service(shared: tuple[StubService, TestClient]) -> StubService:
    service = shared[0]
    service.answer, service.ready = None, True
    service.calls.clear()
    service.documents.clear()
    return service


@pytest.fixture
def client(shared: tuple[StubService, TestClient], service: StubService) -> TestClient:
    return shared[1]


def test_documents_are_put(client: TestClient, service: StubService) -> None:
    body = {
        "documents": [
            {"id": "a/b", "title": "T", "text": "text", "metadata": {"year": 1999, "n": [None]}},
            {"id": "c", "text": ""},
        ]
    }
    answer = client.put("/v1/documents", json=body)
    assert answer.status_code == 200
    assert answer.json() == {
        "added": 2, "updated": 0, "unchanged": 0, "deleted": 0, "index_version": "8",
        "notices": [],
    }  # fmt: skip
    assert service.calls[-1] == [
        Document(id="a/b", title="T", text="text", metadata={"year": 1999, "n": [None]}),
        Document(id="c", text=""),
    ]


@pytest.mark.parametrize(
    ("documents", "message", "param"),
    [
        ([], "documents is a list; it must be not empty", "documents"),
        ([{"id": "a", "text": "t"}, {"id": "a", "text": "u"}],
         "documents[1].id is that of documents[0] too; send an id once", "documents[1].id"),
        ([{"id": "", "text": "t"}], "documents[0].id is ''; it must be not empty",
         "documents[0].id"),
        ([{"text": "t"}], "documents[0].id is missing", "documents[0].id"),
        ([{"id": "a"}], "documents[0].text is missing", "documents[0].text"),
        ([{"id": 5, "text": "t"}], "documents[0].id is 5; it must be a string",
         "documents[0].id"),
        ([{"id": "a", "text": "t", "titel": "x"}],
         "there is no field 'titel' of documents[0]; did you mean title?", "documents[0].titel"),
        ([{"id": "a", "text": "t", "metadata": []}],
         "documents[0].metadata is a list; it must be an object", "documents[0].metadata"),
        (["a"], "documents[0] is 'a'; it must be an object", "documents[0]"),
        ([{"id": str(n), "text": ""} for n in range(3)],
         "documents has 3 documents; at most 2 (--max-documents)", "documents"),
        ([{"id": "a", "text": "t" * 11}],
         "documents[0].text has 11 characters; at most 10 (--max-text)", "documents[0].text"),
        ([{"id": "a", "text": "", "title": "t" * 11}],
         "documents[0].title has 11 characters; at most 10 (--max-text)", "documents[0].title"),
    ],
)  # fmt: skip
def test_a_document_that_is_none(
    client: TestClient, service: StubService, documents: object, message: str, param: str
) -> None:
    answer = client.put("/v1/documents", json={"documents": documents})
    error = answer.json()["error"]
    assert (answer.status_code, error["message"], error["param"]) == (422, message, param)
    assert service.calls == []


def test_too_many_documents_are_not_read(client: TestClient) -> None:
    # The first is wrong, which nobody need know.
    answer = client.put("/v1/documents", json={"documents": [{"id": 5}, {}, {}]})
    assert (
        answer.json()["error"]["message"]
        == "documents has 3 documents; at most 2 (--max-documents)"
    )


def test_a_large_body_is_read_beside_the_loop(client: TestClient, service: StubService) -> None:
    metadata = {"words": ["x" * 1_000] * 100}
    body = {"documents": [{"id": "a", "text": "t", "metadata": metadata}]}
    assert client.put("/v1/documents", json=body).status_code == 200
    assert service.calls[-1][0].metadata == metadata
    body["documents"][0]["title"] = 5  # type: ignore[assignment]
    answer = client.put("/v1/documents", json=body)
    assert answer.json()["error"]["message"] == "documents[0].title is 5; it must be a string"


IDS = [
    "a/b",
    "a b",
    "ä",
    "%",
    "%2F",
    "..x",
    "?",
    "#",
    "a\nb",
    "/",
    "//",
    "delete",
    "日本",
    "a" * 500,
]


@pytest.mark.parametrize("id", IDS)
def test_any_id_is_read_and_deleted(client: TestClient, service: StubService, id: str) -> None:
    service.documents[id] = Document(id=id, title="T", text="text", metadata={"year": 1})
    url = f"/v1/documents/{quote(id, safe='')}"
    answer = client.get(url)
    assert answer.json() == {
        "id": id, "title": "T", "text": "text", "metadata": {"year": 1}, "index_version": "7",
    }  # fmt: skip
    assert client.delete(url).json()["deleted"] == 1
    assert service.calls == [id, [id]]
    for answer in (client.get(url), client.delete(url)):
        assert answer.status_code == 404
        assert answer.json()["error"]["param"] == "id"


@settings(max_examples=40)
@given(id=st.text(min_size=1, max_size=30))
def test_any_text_is_an_id(client: TestClient, service: StubService, id: str) -> None:
    assume(id not in (".", "..") and not any("\ud800" <= each <= "\udfff" for each in id))
    service.documents[id] = Document(id=id, text="text")
    answer = client.get(f"/v1/documents/{quote(id, safe='')}")
    assert (answer.status_code, answer.json()["id"]) == (200, id)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/v1/documents/", 404), ("/v1/documents/%FF", 422), ("/v1/%64ocuments/abc", 404),
        ("/v1%2Fdocuments/abc", 404), ("/v1/documents%2Fabc", 404), ("/%761/documents/abc", 404),
    ],
)  # fmt: skip
def test_what_is_no_id(client: TestClient, service: StubService, url: str, status: int) -> None:
    for answer in (client.get(url), client.delete(url)):
        assert (answer.status_code, service.calls) == (status, [])


def test_deleting_by_a_filter(client: TestClient, service: StubService) -> None:
    answer = client.post("/v1/documents/delete", json={"filter": "year < 1950"})
    assert (answer.status_code, answer.json()["deleted"]) == (200, 3)
    assert service.calls == [parse("year < 1950")]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"filter": ""}, {"filter": {}}, {"filter": None}, [], {"filter": {"and": []}},
        {"filters": "a = 1"}, {"filter": {"and": [{}]}}, {"filter": {"not": {"or": []}}},
        {"filter": {"or": []}}, {"filter": '{"and": [{}]}'},
        {"filter": {"or": [{"and": []}, {"not": {"not": {}}}]}},
    ],
)  # fmt: skip
def test_nothing_is_deleted_by_mistake(
    client: TestClient, service: StubService, body: object
) -> None:
    assert client.post("/v1/documents/delete", json=body).status_code == 422
    assert service.calls == []


def test_a_write_that_is_late_may_be_made(client: TestClient, service: StubService) -> None:
    service.settings, service.hold = replace(SETTINGS, timeout=0.01), True
    try:
        put = client.put("/v1/documents", json={"documents": [{"id": "a", "text": "t"}]})
        deleted = client.delete("/v1/documents/a")
        matching = client.post("/v1/documents/delete", json={"filter": "year < 1950"})
        read = client.get("/v1/documents/a")
    finally:
        service.settings, service.hold = SETTINGS, False
    for answer in (put, deleted, matching):
        assert answer.status_code == 504
        assert "may be made all the same" in answer.json()["error"]["message"]
    assert read.status_code == 504
    assert "may be made" not in read.json()["error"]["message"]


def test_the_encoders_folder_goes_by_its_name(
    client: TestClient, service: StubService, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = SimpleNamespace(name="/models/place/mini", folder=Path("/models/place/mini/home"))
    monkeypatch.setattr(service, "encoder", encoder)
    failed = "failed: /models/place/mini/home/weights is gone from /models/place/mini"
    service.answer = lambda call: replace(DESCRIBED, compaction=failed)
    assert client.get("/v1/index").json()["compaction"] == "failed: home/weights is gone from mini"


def test_the_index_is_told_field_by_field(client: TestClient) -> None:
    assert list(IndexAnswer.model_fields) == [each.name for each in fields(Described)]
    assert list(EncoderAnswer.model_fields) == [each.name for each in fields(EncoderSeal)]
    assert list(DefaultsAnswer.model_fields) == [each.name for each in fields(Defaults)]
    assert list(FieldAnswer.model_fields) == [each.name for each in fields(Field)]
    IndexAnswer.model_validate_json(client.get("/v1/index").content)


def test_the_index_is_described_without_paths(client: TestClient, service: StubService) -> None:
    answer = client.get("/v1/index")
    assert answer.status_code == 200
    assert "/secret" not in answer.text
    told = answer.json()
    assert told["compaction"] == "failed: docs is full"
    assert told["defaults"]["rerank"] == "judge"
    assert told["fields"] == [{"name": "year", "kinds": ["number"], "documents": 9}]
    assert (told["documents"], told["version"]) == (12, "7")


def test_a_compaction_begins(client: TestClient, service: StubService) -> None:
    answer = client.post("/v1/index/compact", json={})
    assert (answer.status_code, answer.json()) == (202, {"compaction": "running"})
    assert service.calls == ["compact"]


def test_health(client: TestClient, service: StubService) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    service.ready = False
    assert client.get("/health/live").status_code == 200
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "unavailable"


def figures(client: TestClient) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_figures_are_counted() -> None:
    service = StubService()
    app = create_app(service, ApiSettings(access_log=False))  # type: ignore[arg-type]
    client = TestClient(app, "http://127.0.0.1:8000")
    for _ in range(3):
        client.post("/v1/search", json={"query": "a"})
    client.post("/v1/search", json={})
    for path in ("a", "b", "c"):
        client.get(f"/nowhere/{path}")
    service.observer.stage("lexical", 5.0)
    service.observer.batch("query", 3, 40)
    service.observer.wait("search", 0.5)
    found = figures(client)
    assert found['cloze_requests_total{route="/v1/search",status="200"}'] == 3
    assert found['cloze_requests_total{route="/v1/search",status="422"}'] == 1
    assert found['cloze_requests_total{route="other",status="404"}'] == 3
    assert found['cloze_errors_total{code="missing_field"}'] == 1
    assert found['cloze_request_seconds_count{route="/v1/search"}'] == 4
    assert found['cloze_stage_seconds_bucket{le="0.004",stage="lexical"}'] == 0
    assert found['cloze_stage_seconds_bucket{le="0.008",stage="lexical"}'] == 1
    assert found['cloze_batch_size_sum{kind="query"}'] == 3
    assert found['cloze_tokens_total{kind="query"}'] == 40
    assert found['cloze_wait_seconds_sum{kind="search"}'] == 0.5
    assert found['cloze_index{what="documents"}'] == 12
    assert found['cloze_requests_in_flight{kind="searches"}'] == 0
    assert found["process_resident_memory_bytes"] > 0


def test_figures_come_without_the_index(client: TestClient, service: StubService) -> None:
    service.answer = lambda call: StoppingError("x")
    client.app.state.metrics.index_is_old = lambda: True  # type: ignore[attr-defined]
    assert "cloze_requests_total" in client.get("/metrics").text
    assert service.calls == ["describe"]


def test_notices_are_told(client: TestClient, service: StubService) -> None:
    service.answer = lambda call: replace(
        Written(updated=1), notices=("/secret/place/docs: compacted",)
    )
    body = {"documents": [{"id": "a", "text": "t"}]}
    answer = client.put("/v1/documents", content=json.dumps(body), headers=JSON)
    assert answer.json()["notices"] == ["docs: compacted"]


JSON: dict[str, Any] = {"Content-Type": "application/json; charset=utf-8"}
