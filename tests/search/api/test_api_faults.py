"""Whose fault an error is, on a service with an index: the request's is 422, any other is 500."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError, RequestError
from search.api.app import create_app
from search.api.settings import ApiSettings
from search.engine import SearchEngine
from search.index import Index
from search.service.service import Service
from search.service.settings import ServiceSettings

HUGE = {"above": 2**70, "below": -(2**63) - 1, "unsigned": 2**64, "list": [10**25]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "index"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add([Document(id="a", text="one two", metadata={"year": 1999})])
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    service = Service(folder, ServiceSettings())
    service.start()
    app = create_app(service, ApiSettings(access_log=False))
    with TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client
    service.close(5)


@pytest.mark.parametrize(
    ("body", "param", "code", "told"),
    [
        ({"mode": "dense"}, "mode", "invalid_request", "index was built with --lexical-only"),
        ({"rerank": "late"}, "rerank", "invalid_request", "index was built with --lexical-only"),
        ({"rerank_depth": 5}, "rerank_depth", "invalid_request", "rerank_depth is 5, and rerank"),
        ({"rerank": False, "rerank_weight": 0.5}, "rerank_weight", "invalid_request", "is none"),
        ({"facets": ["yaer"]}, "facets", "invalid_request", "did you mean 'year'?"),
        ({"facets": ["yaer"], "filter": "year = 1999"}, "facets", "invalid_request", "'year'?"),
        ({"filter": "yaer = 1999"}, "filter", "invalid_filter", "did you mean 'year'?"),
        ({"filter": "yaer = 1", "facets": ["year"]}, "filter", "invalid_filter", "'year'?"),
    ],
)
def test_what_the_request_is_to_blame_for(
    client: TestClient, body: dict[str, Any], param: str, code: str, told: str
) -> None:
    for query in ({"query": "one"}, {"query": " "}, {"queries": ["one", "two"]}):
        if query == {"query": " "} and "filter" in body:
            continue  # nothing is looked for, so no field is missed
        answer = client.post("/v1/search", json={**query, **body})
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (422, param, code)
        assert told in error["message"]


def test_a_reranker_that_is_gone_is_ours(folder: Path, tmp_path: Path) -> None:
    with Index.open(folder) as index:
        engine = SearchEngine(index)
        with pytest.raises(ClozeError, match="there is no folder") as told:
            engine.reranker(str(tmp_path / "gone"))
        engine.close()
    assert not isinstance(told.value, RequestError)


def test_integers_of_any_length_go_through_an_index(client: TestClient) -> None:
    document = {"id": "huge", "title": "", "text": "three", "metadata": HUGE}
    answer = client.put("/v1/documents", json={"documents": [document]})
    assert answer.status_code == 200
    found = client.get("/v1/documents/huge").json()["metadata"]
    assert found == HUGE
    assert {type(each) for each in found.values()} == {int, list}
    (hit,) = client.post("/v1/search", json={"query": "three"}).json()["hits"]
    assert hit["metadata"] == HUGE
    again = client.put("/v1/documents", content=json.dumps({"documents": [document]}), headers=JSON)
    assert again.json()["unchanged"] == 1


JSON = {"Content-Type": "application/json"}
