"""Who is let in: Host, keys, origins, types, rates, full queues; and what every answer has."""

import hashlib
import io
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from starlette.testclient import TestClient

from search.api import access_log
from search.api.access_log import AccessLog
from search.api.app import create_app
from search.api.keys import Key, Keys
from search.api.rate import Rate
from search.api.settings import ApiSettings
from tests.search.api.stubs import StubService

SECONDS = 30
LOCAL = "http://127.0.0.1:8000"
KEYS = Keys(
    keys=(
        Key(digest=hashlib.sha256(b"reading").hexdigest(), scope="read", name="r"),
        Key(digest=hashlib.sha256(b"writing").hexdigest(), scope="write", name="w"),
    )
)
QUERY = {"query": "a"}
PUT = {"documents": [{"id": "a", "text": "t"}]}


def client(service: StubService | None = None, base: str = LOCAL, **options: Any) -> TestClient:  # noqa: ANN401
    settings = ApiSettings(**{"access_log": False, **options})
    app = create_app(service or StubService(), settings)  # type: ignore[arg-type]
    return TestClient(app, base, raise_server_exceptions=False)


OPEN = client()
KEYED = client(keys=KEYS)


def code(answer: Any) -> tuple[int, str]:  # noqa: ANN401
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:9", 200), ("localhost:8000", 200), ("LocalHost", 200),
        ("[::1]:8000", 200), ("[::1]", 200), ("evil.example", 421), ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421), ("localhost.evil.example", 421), ("", 421),
        ("localhost:", 421), ("10.0.0.1", 421), ("localhost:8000:8000", 421), ("a@localhost", 421),
    ],
)  # fmt: skip
def test_only_its_own_names_are_answered(host: str, status: int) -> None:
    for path in ("/v1/search?q=a", "/health/live", "/"):
        answer = OPEN.get(path, headers={"Host": host})
        assert answer.status_code == status, path
        assert status == 200 or code(answer) == (421, "unknown_host")


def test_more_names_may_be_listed() -> None:
    listed = client(allowed_hosts=("Search.Example",))
    assert listed.get("/health/live", headers={"Host": "search.example:80"}).status_code == 200
    assert listed.get("/health/live", headers={"Host": "example"}).status_code == 421
    any_name = client(allowed_hosts=("*",), keys=KEYS)
    assert any_name.get("/health/live", headers={"Host": "whatever"}).status_code == 200


def test_beyond_this_machine_addresses_are_names_too() -> None:
    outside = client(host="0.0.0.0", insecure=True)
    for host, status in (("10.0.0.7:8000", 200), ("[fe80::1]", 200), ("evil.example", 421)):
        assert outside.get("/health/live", headers={"Host": host}).status_code == status
    with_keys = client(host="0.0.0.0", keys=KEYS)
    assert with_keys.get("/health/live", headers={"Host": "any.example"}).status_code == 200
    listed = client(host="0.0.0.0", keys=KEYS, allowed_hosts=("search.example",))
    assert listed.get("/health/live", headers={"Host": "any.example"}).status_code == 421


@pytest.mark.parametrize("name", ["Host", "Origin", "Authorization", "X-API-Key", "Content-Type"])
def test_who_asks_is_said_once(name: str) -> None:
    answer = OPEN.get("/v1/search?q=a", headers=[(name, "a"), (name, "a")])
    assert code(answer) == (400, "repeated_header")


def test_other_headers_may_come_twice() -> None:
    headers = [("Accept", "a"), ("Accept", "b")]
    assert OPEN.get("/v1/search?q=a", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer reading"}, {"Authorization": "bearer  reading"},
     {"X-API-Key": "reading"}, {"Authorization": "Bearer writing"}, {"X-API-Key": "writing"}],
)  # fmt: skip
def test_a_key_lets_read(headers: dict[str, str]) -> None:
    assert KEYED.post("/v1/search", json=QUERY, headers=headers).status_code == 200
    assert KEYED.get("/metrics", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic cmVhZGluZw=="},
     {"X-API-Key": "Reading"}, {"Authorization": "reading"}, {"X-API-Key": ""},
     {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong", "X-API-Key": "reading"}],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/search"), ("GET", "/metrics"), ("GET", "/v1/documents/a"), ("GET", "/nowhere"),
     ("GET", "/openapi.json"), ("PUT", "/v1/documents"), ("OPTIONS", "/v1/search"),
     ("GET", "/health"), ("GET", "//assets/x"), ("GET", "/health/live/"), ("GET", "/v1/models")],
)  # fmt: skip
def test_without_a_key_nothing_is_told(method: str, path: str, headers: dict[str, str]) -> None:
    answer = KEYED.request(method, path, headers=headers, json=QUERY)
    assert code(answer) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "reading" not in answer.text


@pytest.mark.parametrize("path", ["/", "/health/live", "/health/ready"])
def test_the_page_and_health_need_no_key(path: str) -> None:
    assert KEYED.get(path).status_code == 200


WRITES = [("PUT", "/v1/documents", PUT), ("DELETE", "/v1/documents/a", None),
          ("POST", "/v1/documents/delete", {"filter": "a = 1"}),
          ("POST", "/v1/index/compact", {})]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_writing_needs_a_key_that_may(method: str, path: str, body: object) -> None:
    read = KEYED.request(method, path, json=body, headers={"X-API-Key": "reading"})
    assert code(read) == (403, "forbidden")
    wrote = KEYED.request(method, path, json=body, headers={"X-API-Key": "writing"})
    assert wrote.status_code in (200, 202, 404)


# Every route that takes a body, or writes, as its path stands in a URL.
TAKING = [*WRITES, ("POST", "/v1/search", QUERY), ("POST", "/v1/embeddings", {"input": "a"}),
          ("POST", "/v1/rerank", {"query": "a", "documents": ["b"]}),
          ("POST", "/v2/rerank", {"query": "a", "documents": ["b"]})]  # fmt: skip


def test_every_route_that_takes_a_body_is_tried() -> None:
    paths = OPEN.app.openapi()["paths"]  # type: ignore[attr-defined]
    routes = {(method.upper(), path) for path, its in paths.items() for method in its}
    tried = {(method, path.replace("/a", "/{id}")) for method, path, _ in TAKING}
    assert tried == {each for each in routes if each[0] not in ("GET", "HEAD")}


@pytest.mark.parametrize(("method", "path", "body"), TAKING)
@pytest.mark.parametrize("end", ["%0A", "%0a", "%0D%0A", "%0A%0A"])
def test_a_line_break_opens_no_path(method: str, path: str, body: object, end: str) -> None:
    service = StubService(full=frozenset({"searches", "texts"}))
    with_keys = client(service, keys=KEYS)
    read = with_keys.request(method, path + end, json=body, headers={"X-API-Key": "reading"})
    assert code(read) == (403, "forbidden")
    closed = client(service, keys=KEYS, read_only=True)
    wrote = closed.request(method, path + end, json=body, headers={"X-API-Key": "writing"})
    assert code(wrote) == (403, "read_only")
    assert service.calls == []
    # Its type is not looked at, nor its place in a queue, because there is no such path.
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}):
        answer = client(service).request(
            method, path + end, content=json.dumps(body), headers=headers
        )
        assert answer.status_code in (404, 405)
    if method == "DELETE":
        assert service.calls == [[path.rpartition("/")[2] + unquote(end)]] * 3
    else:
        assert service.calls == []


@pytest.mark.parametrize(
    "path", ["/", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/v1/index",
             "/v1/models", "/v1/search", "/favicon.ico", "/assets/page.js"],
)  # fmt: skip
def test_a_line_break_is_no_part_of_a_path_that_reads(path: str) -> None:
    for method in ("GET", "HEAD"):
        assert OPEN.request(method, f"{path}%0A?q=a").status_code == 404


def test_an_id_may_end_in_a_line_break() -> None:
    service = StubService()
    for id in ("delete\n", "a\n", "\n"):
        put = {"documents": [{"id": id, "text": "t"}]}
        assert client(service).put("/v1/documents", json=put).status_code == 200
        path = f"/v1/documents/{quote(id)}"
        assert client(service).get(path).json()["id"] == id
        assert client(service).delete(path).status_code == 200
        assert service.documents == {}
    service.cross_encoder = None  # type: ignore[attr-defined]
    missing = client(service).get("/v1/models/a%0A")
    assert (missing.status_code, "there is no such path" in missing.text) == (404, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "MKCOL"])
@pytest.mark.parametrize("path", ["/v1/new", "/v2/new", "/v1/index", "/v1/search/", "/v1/models"])
def test_what_is_unknown_writes(method: str, path: str) -> None:
    answer = KEYED.request(method, path, json={}, headers={"X-API-Key": "reading"})
    assert code(answer) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_read_only_service_is_not_written(method: str, path: str, body: object) -> None:
    service = StubService()
    closed = client(service, keys=KEYS, read_only=True)
    answer = closed.request(method, path, json=body, headers={"X-API-Key": "writing"})
    assert (code(answer), service.calls) == ((403, "read_only"), [])


def test_without_keys_none_is_looked_at() -> None:
    for headers in ({"Authorization": "Bearer x"}, {"Authorization": "Basic x"}):
        assert OPEN.post("/v1/search", json=QUERY, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200), ({"Origin": "http://127.0.0.1:8000"}, 200),
        ({"Origin": "https://127.0.0.1:8000"}, 200), ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:3000"}, 403), ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8000"}, 403), ({"Origin": "127.0.0.1:8000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)  # fmt: skip
def test_a_foreign_page_may_not_ask(headers: dict[str, str], status: int) -> None:
    answer = OPEN.post("/v1/search", json=QUERY, headers=headers)
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"]["code"] == "foreign_origin"
    assert "access-control-allow-origin" not in answer.headers
    for path in ("/v1/search?q=a", "/v1/documents/a", "/v1/index", "/v1/models", "/metrics"):
        for method in ("GET", "HEAD"):
            answer = OPEN.request(method, path, headers=headers)
            assert (answer.status_code == 403) == (status == 403), path
    for path in ("/", "/health/ready"):
        assert OPEN.get(path, headers=headers).status_code == 200
    for method, path, body in WRITES:
        answer = OPEN.request(method, path, json=body, headers=headers)
        assert (answer.status_code == 403) == (status == 403)


def test_a_named_page_may_ask() -> None:
    named = client(cors=("https://app.example",), keys=KEYS)
    origin = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    asked = named.options("/v1/search", headers={**origin, "Access-Control-Request-Method": "POST"})
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == "https://app.example"
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    answer = named.post("/v1/search", json=QUERY, headers={**origin, "X-API-Key": "reading"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["vary"] == "Origin"
    found = named.get("/v1/search?q=a", headers={**origin, "X-API-Key": "reading"})
    assert found.status_code == 200
    # A picture's address, say, which comes from no page that is named.
    blind = {"Sec-Fetch-Site": "cross-site", "X-API-Key": "reading"}
    assert code(named.get("/v1/search?q=a", headers=blind)) == (403, "foreign_origin")
    # The page must be able to read why it was refused.
    refused = named.post("/v1/search", json=QUERY, headers=origin)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://app.example"


def test_every_page_may_be_named() -> None:
    named = client(cors=("*",), keys=KEYS)
    headers = {"Sec-Fetch-Site": "cross-site", "X-API-Key": "reading"}
    for origin in ({}, {"Origin": "https://any.example"}):
        assert named.get("/v1/search?q=a", headers={**headers, **origin}).status_code == 200


def test_another_page_is_not_named() -> None:
    named = client(cors=("https://app.example",))
    origin = {"Origin": "https://app.example.evil.example"}
    asked = named.options("/v1/search", headers={**origin, "Access-Control-Request-Method": "POST"})
    assert code(asked) == (403, "foreign_origin")
    assert "access-control-allow-origin" not in asked.headers
    assert named.post("/v1/search", json=QUERY, headers=origin).status_code == 403


@pytest.mark.parametrize(
    ("declared", "status"),
    [("application/json", 200), ("Application/JSON; charset=utf-8", 200), ("text/plain", 415),
     ("application/x-www-form-urlencoded", 415), ("", 415), ("application/json5", 415),
     ("text/plain; application/json", 415), ("multipart/form-data", 415)],
)  # fmt: skip
def test_only_json_is_taken(declared: str, status: int) -> None:
    answer = OPEN.post("/v1/search", content=b'{"query": "a"}', headers={"Content-Type": declared})
    assert answer.status_code == status
    compact = OPEN.post("/v1/index/compact", headers={"Content-Type": declared})
    assert compact.status_code == (202 if status == 200 else 415)


def test_a_bucket_fills_at_its_rate() -> None:
    now = [0.0]
    rate = Rate(2.0, clock=lambda: now[0])
    assert [rate.take("a") for _ in range(3)] == [0, 0, 0.5]
    assert rate.take("b") == 0
    now[0] = 0.25
    assert rate.take("a") == 0.25
    now[0] = 0.5
    assert [rate.take("a"), rate.take("a")] == [0, 0.5]
    now[0] = 1_000.0
    assert [rate.take("a") for _ in range(3)] == [0, 0, 0.5]


def test_a_slow_rate_lets_one_in_at_once() -> None:
    now = [0.0]
    rate = Rate(0.1, clock=lambda: now[0])
    assert [rate.take("a"), rate.take("a")] == [0, 10]
    now[0] = 9.0
    assert rate.take("a") == pytest.approx(1)


def test_strangers_are_forgotten() -> None:
    rate = Rate(1.0, clock=lambda: 0.0)
    for number in range(10_001):
        rate.take(str(number))
    assert (rate.take("10000"), rate.take("0")) == (1.0, 0.0)


def test_each_key_has_its_rate() -> None:
    limited = client(keys=KEYS, rate=1e-6)
    for key in ("reading", "writing"):
        headers = {"X-API-Key": key}
        assert limited.get("/v1/search?q=a", headers=headers).status_code == 200
        answer = limited.get("/v1/search?q=a", headers=headers)
        assert code(answer) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 999_999
    assert limited.get("/health/ready").status_code == 200


def test_without_keys_each_address_has_its_rate() -> None:
    limited = client(rate=1e-6)
    assert limited.get("/v1/search?q=a").status_code == 200
    assert limited.get("/v1/search?q=a").status_code == 429


def test_a_full_queue_is_told_before_the_body_is_read() -> None:
    service = StubService(full=frozenset({"searches"}))
    full = client(service)
    answer = full.post("/v1/search", content=b"{no json", headers={"Content-Type":
                                                                   "application/json"})  # fmt: skip
    assert code(answer) == (429, "overloaded")
    assert answer.headers["retry-after"] == "3"
    assert full.put("/v1/documents", json=PUT).status_code == 200
    service.full = frozenset({"writes"})
    assert full.put("/v1/documents", json=PUT).status_code == 429
    assert full.delete("/v1/documents/a").status_code == 429
    assert full.post("/v1/documents/delete", json={"filter": "a = 1"}).status_code == 429
    assert full.post("/v1/search", json=QUERY).status_code == 200


def test_a_service_that_is_not_ready_says_so() -> None:
    service = StubService(ready=False)
    answer = client(service).post("/v1/search", json=QUERY)
    assert code(answer) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1.2_3", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("", False),
     ("a\u00e4", False), ("<script>", False)],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/health/live", "/nowhere", "/v1/search"])
def test_every_answer_has_an_id(given: str, kept: bool, path: str) -> None:
    answer = OPEN.get(path, headers={b"X-Request-ID": given.encode()})
    id = answer.headers["x-request-id"]
    assert (id == given) == kept
    assert len(id) in range(1, 65)
    if answer.status_code >= 400:
        assert answer.json()["error"]["id"] == id


@pytest.mark.parametrize("path", ["/health/live", "/nowhere", "/v1/search?q=a", "/openapi.json"])
def test_every_answer_is_kept_to_itself(path: str) -> None:
    headers = OPEN.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cache-control"] == "no-store"
    assert headers["content-type"] == "application/json"
    assert "server" not in headers


def test_the_page_has_one_policy_of_its_own() -> None:
    headers = OPEN.get("/").headers
    assert len(headers.get_list("content-security-policy")) == 1
    assert "script-src 'self'" in headers["content-security-policy"]
    assert headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize(
    "path", ["/nowhere", "/v1", "/v1/", "/v1/search/", "/V1/search", "/docs", "/redoc",
             "/v1//index",
             "/health/live/", "/v1/index/", "/.env", "/v1/search%2F", "/v1/../etc/passwd"],
)  # fmt: skip
def test_an_unknown_path(path: str) -> None:
    answer = OPEN.get(path, follow_redirects=False)
    assert code(answer) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/search", "GET, HEAD, POST"), ("PUT", "/v1/search", "GET, HEAD, POST"),
        ("GET", "/v1/documents", "PUT"), ("GET", "/v1/index/compact", "POST"),
        ("POST", "/v1/index", "GET, HEAD"), ("POST", "/health/live", "GET, HEAD"),
        ("PATCH", "/v1/documents/a", "GET, HEAD, DELETE"), ("OPTIONS", "/v1/search",
                                                            "GET, HEAD, POST"),
        ("PUT", "/v1/documents/delete", "GET, HEAD, POST, DELETE"), ("TRACE", "/metrics",
                                                                     "GET, HEAD"),
    ],
)  # fmt: skip
def test_a_wrong_method_names_the_right_ones(method: str, path: str, allowed: str) -> None:
    answer = OPEN.request(method, path, json={})
    assert code(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/health/live", "/v1/search?q=a", "/nowhere", "/"])
def test_head_is_get_without_a_body(path: str) -> None:
    get, head = OPEN.get(path), OPEN.head(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


def test_a_get_may_have_a_body() -> None:
    answer = OPEN.request("GET", "/v1/search?q=a", content=b"whatever \xff")
    assert answer.status_code == 200


class Lines(io.StringIO):
    """A log to look into."""

    def last(self, logged: TestClient) -> dict[str, Any]:
        assert log_of(logged).drain(SECONDS)
        line: dict[str, Any] = json.loads(self.getvalue().splitlines()[-1])
        return line


def log_of(logged: TestClient) -> AccessLog:
    log = logged.app.state.access_log  # type: ignore[attr-defined]
    assert isinstance(log, AccessLog)
    return log


def test_every_request_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines()
    monkeypatch.setattr("search.api.app.sys.stderr", lines)
    logged = client(keys=KEYS, access_log=True)
    headers = {"X-API-Key": "reading", "X-Request-ID": "mine"}
    answer = logged.post("/v1/search", json={"query": "private words"}, headers=headers)
    line = lines.last(logged)
    assert line.pop("time").endswith("+00:00")
    assert line.pop("ms") > 0
    assert line == {
        "id": "mine", "client": "testclient", "key": KEYS.keys[0].fingerprint, "method": "POST",
        "path": "/v1/search", "status": 200, "error": None, "bytes": len(answer.content),
    }  # fmt: skip
    logged.get("/v1/search?q=private", headers={"X-API-Key": "wrongwrong"})
    assert (lines.last(logged)["status"], lines.last(logged)["error"]) == (401, "unauthorized")
    assert lines.last(logged)["key"] is None
    logged.head("/a%0Ab")
    assert (lines.last(logged)["method"], lines.last(logged)["path"]) == ("HEAD", "/a\nb")
    text = lines.getvalue()
    assert len(text.splitlines()) == 3
    assert not any(word in text for word in ("private", "reading", "wrongwrong"))


def test_a_log_that_is_closed_fails_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines()
    monkeypatch.setattr("search.api.app.sys.stderr", lines)
    logged = client(access_log=True)
    lines.close()
    for _ in range(2):
        assert logged.get("/health/live").status_code == 200
        assert log_of(logged).drain(SECONDS)


class Stalled(io.StringIO):
    """A stream whose reader has stopped, until it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.goes_on = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.goes_on.wait(SECONDS)
        return super().write(text)


def test_a_log_that_stalls_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Stalled()
    monkeypatch.setattr("search.api.app.sys.stderr", lines)
    monkeypatch.setattr(access_log, "MAX_WAITING", 700)
    logged = client(access_log=True)
    logged.get("/health/live")
    assert lines.reached.wait(SECONDS)
    for _ in range(20):
        assert logged.get("/health/live").status_code == 200
    assert not log_of(logged).drain(0.01)
    lines.goes_on.set()
    assert log_of(logged).drain(SECONDS)
    *written, last = [json.loads(each) for each in lines.getvalue().splitlines()]
    assert 1 < len(written) < 10
    assert last["dropped"] == 21 - len(written)


def test_the_log_of_a_file_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w") as stream:
        monkeypatch.setattr("search.api.app.sys.stderr", stream)
        logged = client(access_log=True)
        for number in range(50):
            logged.get("/health/live", headers={"X-Request-ID": str(number)})
        assert log_of(logged).drain(SECONDS)
    written = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(each)["id"] for each in written] == [str(each) for each in range(50)]


def test_an_error_of_ours_is_logged_with_its_id(caplog: pytest.LogCaptureFixture) -> None:
    service = StubService(answer=lambda call: RuntimeError("at /secret/place"))
    answer = client(service).post("/v1/search", json=QUERY)
    assert code(answer) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in caplog.text
    assert "RuntimeError: at /secret/place" in caplog.text


def test_settings_are_checked_before_the_app_is_made() -> None:
    from indexer.errors import ClozeError

    with pytest.raises(ClozeError, match="--insecure"):
        create_app(StubService(), ApiSettings(host="0.0.0.0"))  # type: ignore[arg-type]


@pytest.mark.parametrize("flag", ["cors", "allowed_hosts"])
def test_whoever_lets_any_page_ask_has_keys(flag: str) -> None:
    from indexer.errors import ClozeError

    name = {"cors": "--cors", "allowed_hosts": "--allowed-host"}[flag]
    for value in (("*",), ("https://a.example", "*")):
        options: dict[str, Any] = {flag: value}
        with pytest.raises(ClozeError, match=rf"{name} '\*' lets any web page.*--insecure"):
            client(**options)
        client(**options, insecure=True)
        client(**options, keys=KEYS)
        client(**{**options, flag: value[:-1]})


def test_the_service_tells_its_figures() -> None:
    service = StubService()
    app = create_app(service, replace(ApiSettings(), access_log=False))  # type: ignore[arg-type]
    assert service.observer is app.state.metrics
