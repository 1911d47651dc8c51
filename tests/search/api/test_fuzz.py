"""Bodies, URLs and filters that nobody should send: a documented 4xx in one sentence, never a 5xx.

After each of the tests the service answers as it did before.
"""

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer.creation import Settings
from indexer.documents import Document
from search.index import Index
from search.service.settings import Limits, ServiceSettings
from tests.search.api.serving import serving

LIMITS = Limits(top=50, batch=4, texts=8, documents=8, query=100, text=500, filter_depth=6)
POSTS = (
    "/v1/search", "/v1/documents/delete", "/v1/embeddings", "/v1/rerank", "/v2/rerank"
)  # fmt: skip
BODIES = (*(("POST", path) for path in POSTS), ("PUT", "/v1/documents"))
FIELDS = (
    "query", "queries", "top", "offset", "mode", "fusion", "weight", "depth", "filter", "passages",
    "count", "rerank", "rerank_depth", "rerank_weight", "highlight", "explain", "facets",
    "collapse", "documents", "input", "model", "encoding_format", "dimensions", "texts", "top_n",
    "return_documents",
)  # fmt: skip
PROBE = {"query": "a bird in the sky", "top": 5}
MISSING = "no_such_field"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of the service: its status, its headers, its JSON."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["error"]
        return found


class Client:
    """Sends bytes to a service, and holds every answer against the service's own document."""

    def __init__(self, address: str, forbidden: str) -> None:
        self._host = urlsplit(address).netloc
        self._forbidden = forbidden
        self._connection = http.client.HTTPConnection(self._host, timeout=30)
        self._documented: dict[str, Any] = {}
        self._documented = self._send("GET", "/openapi.json", b"", {}).body["paths"]

    def ask(
        self, method: str, path: str, body: bytes = b"", documented: str | None = None,
        type: str = "application/json",
    ) -> Answer:  # fmt: skip
        """Send a request; the answer is a documented one of the path, or of `documented`."""
        answer = self._send(method, path, body, {"Content-Type": type} if body else {})
        statuses = self._documented[documented or path][method.lower()]["responses"]
        assert str(answer.status) in statuses, (path, answer)
        assert answer.status < 500, answer
        if answer.status >= 400:
            self._check(answer)
        return answer

    def send(self, path: str, content: object, method: str = "POST") -> Answer:
        """Send JSON; what JSON has not, as NaN and lone surrogates, goes as Python writes it."""
        return self.ask(method, path, json.dumps(content).encode())

    def _check(self, answer: Answer) -> None:
        """An error is one sentence with a code and the request's id, and tells no path."""
        assert set(answer.error) == {"code", "message", "type", "param", "id"}, answer
        message = answer.error["message"]
        assert 10 < len(message) < 1_000, answer
        assert "\n" not in message and "Traceback" not in message, answer
        assert self._forbidden not in message, answer
        assert re.fullmatch("[a-z_]+", answer.error["code"]), answer
        assert answer.error["id"] == answer.headers["x-request-id"], answer

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        connection = self._connection
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            # The server may close a connection after an error.
            connection.close()
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
        content = response.read()
        given = {name.lower(): value for name, value in response.getheaders()}
        assert given["content-type"] == "application/json", given
        return Answer(status=response.status, headers=given, body=json.loads(content))


@pytest.fixture(scope="module")
def address(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("fuzz") / "index"
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        index.add(documents[:40])
    with serving(folder, ServiceSettings(limits=LIMITS)) as address:
        yield address, folder


@pytest.fixture
def client(address: tuple[str, Path]) -> Iterator[Client]:
    where, folder = address
    client = Client(where, str(folder.parent))
    before = client.send("/v1/search", PROBE)
    assert before.status == 200 and before.body["hits"]
    yield client
    after = client.send("/v1/search", PROBE)
    # What was written meanwhile may be among them.
    known = {each["id"] for each in before.body["hits"]}
    assert after.status == 200
    assert known & {each["id"] for each in after.body["hits"]}
    assert client.ask("GET", "/health/ready").body == {"status": "ready"}


def jsons(leaves: int = 8) -> st.SearchStrategy[Any]:
    """JSON of every kind, with what Python's encoder writes beyond it."""
    scalars = (
        st.none() | st.booleans() | st.integers() | st.floats() | st.text()
        | st.sampled_from(["\ud800", "year >= 1990", "late", "default", "\x00", ""])
    )  # fmt: skip
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["id", "text", "title", "metadata"]) | st.text(),
                              inner, max_size=4)
        ),
        max_leaves=leaves,
    )  # fmt: skip


@pytest.mark.parametrize(("method", "path"), BODIES)
@settings(max_examples=40)
@given(content=st.dictionaries(st.sampled_from(FIELDS) | st.text(), jsons(), max_size=6))
def test_any_object_is_answered(
    client: Client, method: str, path: str, content: dict[str, Any]
) -> None:
    client.ask(method, path, json.dumps(content).encode())


@pytest.mark.parametrize(("method", "path"), BODIES)
@settings(max_examples=25)
@given(body=st.binary(min_size=1) | jsons().map(lambda each: json.dumps(each).encode()))
@example(body=b"{")
@example(body=b"\xff")
@example(body=b"\xef\xbb\xbf{}")
@example(body=b'{"query": "\xed\xa0\x80"}')
@example(body=b"[" * 200_000)
@example(body=b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
def test_any_bytes_are_answered(client: Client, method: str, path: str, body: bytes) -> None:
    answer = client.ask(method, path, body)
    if not isinstance(_parsed(body), dict):
        assert answer.status in (400, 422)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


@pytest.mark.parametrize(("method", "path"), BODIES)
@pytest.mark.parametrize(
    "body",
    [
        b'{"query": NaN}', b'{"query": Infinity}', b'{"query": "\\ud800"}', b'{"query": "\xff"}',
        b'{"query": "a"', b"query=a", b" ", b'{"x": ' + b"[" * 500 + b"]" * 500 + b"}",
    ],
    ids=["nan", "infinity", "surrogate", "utf-8", "cut", "form", "blank", "deep"],
)  # fmt: skip
def test_what_is_no_json_is_400(client: Client, method: str, path: str, body: bytes) -> None:
    assert client.ask(method, path, body).status == 400


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_what_is_no_object_is_422(client: Client, method: str, path: str) -> None:
    for body in (b"[]", b"null", b"3", b'"query"', b'[{"query": "a"}]'):
        answer = client.ask(method, path, body)
        assert (answer.status, answer.error["message"]) == (422, "the body must be a JSON object")


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_ten_megabytes_are_413(client: Client, method: str, path: str) -> None:
    answer = client.ask(method, path, b'{"query": "' + b"a" * 10_000_000 + b'"}')
    assert answer.status == 413
    assert "--max-body" in answer.error["message"]


@pytest.mark.parametrize("type", ["text/plain", "application/x-www-form-urlencoded", "json", "a"])
@pytest.mark.parametrize(("method", "path"), BODIES)
def test_another_type_is_415(client: Client, method: str, path: str, type: str) -> None:
    assert client.ask(method, path, b"{}", type=type).status == 415


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("top", 51, "--max-top"),
        ("top", 2**62, "--max-top"),
        ("offset", 10_000, "--max-reach"),
        ("offset", 2**63 - 1, "--max-reach"),
        ("depth", 10_001, "--max-reach"),
        ("passages", 101, "--max-passages"),
        ("rerank_depth", 201, "--max-rerank-depth"),
        ("facets", ["lang"] * 17, "--max-facets"),
        ("query", "a" * 101, "--max-query"),
        ("filter", "not (" * 6 + "year = 1" + ")" * 6, "--max-filter-depth"),
        ("filter", {"year": {"in": list(range(1_001))}}, "--max-filter-terms"),
    ],
)
def test_a_limit_is_told_with_its_flag(client: Client, name: str, value: object, flag: str) -> None:
    answer = client.send("/v1/search", PROBE | {name: value})
    assert answer.status == 422
    assert flag in answer.error["message"]
    assert answer.error["code"] == "limit_exceeded"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top", -1), ("top", 2**64), ("top", 1e308), ("top", "10"), ("top", None), ("top", True),
        ("offset", -1), ("mode", "fuzzy"), ("mode", 3), ("fusion", "sum"), ("weight", 1.5),
        ("weight", -0.1), ("weight", "0.5"), ("depth", 0), ("passages", 0), ("count", 1),
        ("rerank", "no/such/model"), ("rerank", "/etc/passwd"), ("rerank", "cross-encoder"),
        ("rerank_depth", 0), ("rerank_weight", 2), ("highlight", "yes"), ("facets", "lang"),
        ("facets", [1]), ("facets", [MISSING]), ("collapse", []), ("explain", {}),
        ("filter", f"{MISSING} = 1"), ("filter", {MISSING: 1}), ("filter", "year >="),
        ("filter", "year = 1 or"), ("filter", {"year": {"$near": 3}}), ("filter", 3),
        ("filter", {"$and": 3}), ("filter", {"year": {}}), ("filter", "(" * 300),
    ],
)  # fmt: skip
def test_a_wrong_option_is_422(client: Client, name: str, value: object) -> None:
    answer = client.send("/v1/search", PROBE | {name: value})
    assert answer.status == 422, answer
    # The message names the option, or what is wrong within it.
    assert name in answer.error["message"] or answer.error["param"] == name, answer


def test_an_unknown_option_is_told_with_the_nearest(client: Client) -> None:
    answer = client.send("/v1/search", PROBE | {"filters": "year = 1"})
    assert (answer.status, answer.error["code"]) == (422, "unknown_field")
    assert "filter" in answer.error["message"]


def test_a_field_that_no_document_has_is_named(client: Client) -> None:
    for path in ("/v1/search", "/v1/documents/delete"):
        body = {"filter": "langg = en"} | (PROBE if path == "/v1/search" else {})
        answer = client.send(path, body)
        assert (answer.status, answer.error["param"]) == (422, "filter"), answer
        assert "langg" in answer.error["message"] and "lang" in answer.error["message"]


def test_one_bad_query_of_several_refuses_all(client: Client) -> None:
    answer = client.send("/v1/search", {"queries": ["a", "b", 3]})
    assert (answer.status, answer.error["param"]) == (422, "queries[2]")


def test_unknown_models_are_404(client: Client) -> None:
    for path, body in (
        ("/v1/embeddings", {"input": "sea"}),
        ("/v1/rerank", {"query": "q", "documents": ["sea"]}),
        ("/v2/rerank", {"query": "q", "documents": ["sea"]}),
    ):
        answer = client.send(path, body | {"model": "../../etc/passwd"})
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")


FILTERS = st.text() | st.lists(
    st.sampled_from(
        ["year", "lang", MISSING, "=", "!=", ">=", "<", "in", "not", "and", "or", "(", ")", "[",
         "]", ",", "1990", "en", '"en', "'", "exists", "*", "-", "\x00", "é", "用"]
    ),
    max_size=12,
).map(" ".join)  # fmt: skip


@settings(max_examples=150)
@given(condition=FILTERS)
def test_any_filter_is_answered(client: Client, condition: str) -> None:
    client.send("/v1/search", PROBE | {"filter": condition, "mode": "lexical"})
    parameters = f"?q=bird&mode=lexical&filter={quote(condition)}"
    client.ask("GET", f"/v1/search{parameters}", documented="/v1/search")


@settings(max_examples=80)
@given(
    condition=st.dictionaries(
        st.sampled_from(["year", "lang", "$and", "$or", "$not", MISSING, ""]), jsons(), max_size=3
    )
)
def test_any_filter_of_json_is_answered(client: Client, condition: dict[str, Any]) -> None:
    client.send("/v1/search", PROBE | {"filter": condition, "mode": "lexical"})


@settings(max_examples=60)
@given(
    pairs=st.lists(
        st.tuples(
            st.sampled_from(["q", "top", "offset", "weight", "mode", "facets", "explain", "x"]),
            st.text(max_size=8) | st.sampled_from(["nan", "inf", "1e999", "-1", "9" * 40, "٣"]),
        ),
        max_size=5,
    )
)
def test_any_url_is_answered(client: Client, pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={quote(value)}" for name, value in pairs)
    client.ask("GET", f"/v1/search?{query}", documented="/v1/search")


@settings(max_examples=60)
@given(id=st.text(min_size=1) | st.sampled_from(["..", "../..", "%", "%2e%2e", "\x00", "a/b/"]))
def test_any_id_is_answered(client: Client, id: str) -> None:
    path = f"/v1/documents/{quote(id, safe='')}"
    answer = client.ask("GET", path, documented="/v1/documents/{id}")
    assert answer.status in (200, 404)


def test_an_id_that_is_no_utf_8_is_422(client: Client) -> None:
    answer = client.ask("GET", "/v1/documents/%FF", documented="/v1/documents/{id}")
    assert answer.status == 422


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ([], "documents"),
        ([{}], "documents[0].id"),
        ([{"id": "", "text": "a"}], "documents[0].id"),
        ([{"id": 3, "text": "a"}], "documents[0].id"),
        ([{"id": "a"}], "documents[0].text"),
        ([{"id": "a", "text": "a"}, {"id": "b", "text": None}], "documents[1].text"),
        ([{"id": "a", "text": "a", "titel": "b"}], "documents[0].titel"),
        ([{"id": "a", "text": "a", "metadata": []}], "documents[0].metadata"),
        ([{"id": "a", "text": "a" * 501}], "documents[0].text"),
        ([{"id": str(n), "text": "a"} for n in range(9)], "documents"),
    ],
)
def test_a_wrong_document_is_told_by_its_place(client: Client, sent: list[Any], param: str) -> None:
    answer = client.send("/v1/documents", {"documents": sent}, "PUT")
    assert (answer.status, answer.error["param"]) == (422, param), answer


def test_an_id_twice_in_a_request_is_refused(client: Client) -> None:
    twice = {"documents": [{"id": "same", "text": "a"}, {"id": "same", "text": "b"}]}
    answer = client.send("/v1/documents", twice, "PUT")
    assert (answer.status, answer.error["param"]) == (422, "documents[1].id")
    assert client.ask(
        "GET", "/v1/documents/same", documented="/v1/documents/{id}"
    ).status == 404  # fmt: skip
