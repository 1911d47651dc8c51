"""The process: its port, its end, what is no HTTP, and the real service behind it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from search.api import protocol
from search.api.app import create_app
from search.api.server import Server, bound, configured, serve
from search.api.settings import ApiSettings
from search.hits import Results
from search.index import Index
from search.service.service import Service
from search.service.settings import Limits, ServiceSettings
from tests.search.api.stubs import StubService

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 30


@contextmanager
def running(service: StubService | Service, settings: ApiSettings) -> Iterator[tuple[str, int]]:
    """Serve in a thread, and give the address."""
    app = create_app(service, settings)  # type: ignore[arg-type]
    ready = threading.Event()
    server = Server(configured(app, service.settings), ready.set)
    with bound(settings) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert ready.wait(SECONDS)
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(SECONDS)
            assert not thread.is_alive()


LAST = b"Host: localhost\r\nConnection: close\r\n\r\n"
SETTINGS = ApiSettings(port=0, access_log=False)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    service = StubService(settings=ServiceSettings(limits=Limits(body=100_000)))
    with running(service, SETTINGS) as address:
        yield address


def spoken(address: tuple[str, int], *parts: bytes) -> bytes:
    """What comes back for bytes, until the server closes the connection."""
    with socket.create_connection(address, timeout=SECONDS) as connection:
        for part in parts:
            connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def answer_of(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize(
    "sent",
    [b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
     b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
     b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6"
     b"\r\n\r\n",
     b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_http(address: tuple[str, int], sent: bytes) -> None:
    status, headers, body = answer_of(spoken(address, sent))
    assert (status, headers["content-type"]) == (400, "application/json")
    error = json.loads(body)["error"]
    assert (error["code"], error["id"]) == ("invalid_http", headers["x-request-id"])


@pytest.mark.parametrize("split", [1, 1_000])
def test_a_head_has_an_end(address: tuple[str, int], split: int) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * (1 << 18)
    size = len(head) // split + 1
    parts = [head[start : start + size] for start in range(0, len(head), size)]
    with socket.create_connection(address, timeout=SECONDS) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            status, _, body = answer_of(connection.recv(65_536))
        except ConnectionError:  # closed while we spoke on
            return
    assert (status, json.loads(body)["error"]["code"]) == (431, "headers_too_large")


def test_a_long_url_is_read(address: tuple[str, int]) -> None:
    query = b"q=" + b"%E6%90%9C" * 7_000
    raw = spoken(address, b"GET /v1/search?" + query + b" HTTP/1.1\r\n" + LAST)
    status, _, body = answer_of(raw)
    assert (status, json.loads(body)["query"]) == (200, "搜" * 7_000)


def test_a_head_that_has_no_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    with running(StubService(), SETTINGS) as address:
        for sent in (b"", b"GET /health/live HTTP/1.1\r\nHost: loc"):
            with socket.create_connection(address, timeout=SECONDS) as connection:
                connection.sendall(sent)
                assert connection.recv(100) == b""


def test_old_and_new_http(address: tuple[str, int]) -> None:
    assert answer_of(spoken(address, b"GET /health/live HTTP/1.0\r\n\r\n"))[0] == 200
    close = b"Connection: close\r\n\r\n"
    status, _, body = answer_of(spoken(address, b"GET /health/live HTTP/1.1\r\n" + close))
    assert (status, json.loads(body)["error"]["code"]) == (400, "missing_header")
    upgrade = b"Connection: upgrade, close\r\nUpgrade: h2c\r\n\r\n"
    raw = spoken(address, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + upgrade)
    assert answer_of(raw)[0] == 200


def test_head_has_no_body(address: tuple[str, int]) -> None:
    raw = spoken(address, b"HEAD /health/live HTTP/1.1\r\n" + LAST)
    status, headers, body = answer_of(raw)
    assert (status, headers["content-length"], body) == (200, "17", b"")


def test_requests_in_a_row(address: tuple[str, int]) -> None:
    get = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    post = (
        b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 13\r\n\r\n{"query":"a"}'
    )
    last = b"GET /health/live HTTP/1.1\r\n" + LAST
    raw = spoken(address, (get + post) * 3 + last)
    assert raw.count(b"HTTP/1.1 200 OK") == 7


def test_a_connection_may_be_used_for_long(address: tuple[str, int]) -> None:
    body = b'{"query":"' + b"a" * 5_000 + b'"}'
    post = (
        b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body
    with socket.create_connection(address, timeout=SECONDS) as connection:
        for _ in range(2 * protocol.MAX_HEAD // len(post)):
            connection.sendall(post)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")


def test_a_large_body_is_refused_and_the_answer_can_be_read(address: tuple[str, int]) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") as client:
        for _ in range(2):
            answer = client.post("/v1/search", json={"query": "a" * 10_000_000})
            assert answer.status_code == 413
            assert answer.json()["error"]["message"].endswith("at most 100,000 (--max-body)")
        assert client.get("/health/live").status_code == 200


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ClozeError, match=f"port {port} of 127.0.0.1 is in use.*--port"):
            bound(ApiSettings(port=port))
        # Before anything is loaded: there is no such index.
        with pytest.raises(ClozeError, match="is in use"):
            serve(Path("/nowhere"), ServiceSettings(), ApiSettings(port=port), lambda line: None)


def test_a_host_that_is_not_here() -> None:
    with pytest.raises(ClozeError, match=r"--host no-such-host\.invalid is no address"):
        bound(ApiSettings(host="no-such-host.invalid"))
    with pytest.raises(ClozeError, match=r"of 192\.0\.2\.1 can't be had"):
        bound(ApiSettings(host="192.0.2.1", port=0))


def test_other_machines_are_refused_before_the_port_is_taken() -> None:
    with pytest.raises(ClozeError, match="--insecure"):
        serve(Path("/nowhere"), ServiceSettings(), ApiSettings(host="0.0.0.0"), lambda line: None)


SLOW = """
import sys, threading
from pathlib import Path
from search.api import server
from search.api.settings import ApiSettings
from search.service.settings import ServiceSettings
from tests.search.api.stubs import StubService, results

def say(line):
    print(line, flush=True)

class Slow(StubService):
    def __init__(self, folder, settings):
        super().__init__(settings=settings, folder=folder, hold=True)
    def start(self):
        say("started")
    def close(self, seconds):
        say("closed")
    def search(self, requests, deadline):
        future = super().search(requests, deadline)
        say("asked")
        answer = [results(each) for each in requests]
        threading.Timer(0.5, future.set_result, [answer]).start()
        return future

server.Service = Slow
server.serve(Path("docs"), ServiceSettings(), ApiSettings(port=0, access_log=False), say)
"""
REAL = """
import sys
from pathlib import Path
from search.api.server import serve
from search.api.settings import ApiSettings
from search.service.settings import ServiceSettings
serve(Path(sys.argv[1]), ServiceSettings(), ApiSettings(port=0),
      lambda address: print(address, flush=True))
"""


@contextmanager
def process(script: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    started = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        yield started
    finally:
        started.kill()
        started.wait(SECONDS)


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().strip()


def in_thread(work: Callable[[], object]) -> "tuple[threading.Thread, list[object]]":
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


def test_what_was_accepted_is_finished() -> None:
    with process(SLOW) as slow, httpx.Client(timeout=SECONDS) as idle:
        assert line(slow.stdout) == "started"
        address = line(slow.stdout)
        assert idle.get(f"{address}/health/ready").status_code == 200
        thread, found = in_thread(
            lambda: httpx.post(f"{address}/v1/search", json={"query": "a"}, timeout=SECONDS)
        )
        assert line(slow.stdout) == "asked"
        slow.send_signal(signal.SIGTERM)
        thread.join(SECONDS)
        (answer,) = found
        assert isinstance(answer, httpx.Response)
        assert (answer.status_code, answer.json()["hits"][0]["id"]) == (200, "a/b")
        assert line(slow.stdout) == "closed"
        assert slow.wait(SECONDS) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/health/live")
        assert slow.stderr is not None
        assert slow.stderr.read() == ""


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "docs"
    texts = ("a bear in the garden", "a fast boat on the lake", "the quiet ocean at night")
    documents = [
        Document(id=f"d/{place}", title="t", text=text, metadata={"year": 2000 + place})
        for place, text in enumerate(texts)
    ]
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        index.add(documents)
    return folder


def test_the_real_service_is_served(folder: Path) -> None:
    with process(REAL, folder) as served, httpx.Client(timeout=SECONDS) as client:
        address = line(served.stdout)
        answer = client.post(f"{address}/v1/search", json={"query": "bear", "count": True})
        with Index.open(folder) as index:
            expected = index.search("bear", count=True)
        assert_same(answer.json(), expected)
        served.send_signal(signal.SIGINT)
        assert served.wait(SECONDS) == 0
        assert served.stderr is not None
        logged = [json.loads(each) for each in served.stderr.read().splitlines()]
        assert [(each["path"], each["status"]) for each in logged] == [("/v1/search", 200)]


def assert_same(told: object, expected: Results) -> None:
    assert isinstance(told, dict)
    whole = json.loads(json.dumps(expected.as_json()))
    for each in (told, whole):
        del each["took_ms"]
    assert told == whole


def test_every_route_works_on_the_real_service(folder: Path) -> None:
    service = Service(folder, ServiceSettings())
    service.start()
    try:
        with running(service, SETTINGS) as (_, port):
            check_routes(f"http://127.0.0.1:{port}")
    finally:
        service.close(SECONDS)


def check_routes(address: str) -> None:
    with httpx.Client(base_url=address, timeout=SECONDS) as client:
        before = client.get("/v1/index").json()
        assert (before["name"], before["documents"]) == ("docs", 3)
        found = client.get("/v1/documents/d%2F1").json()
        assert (found["text"], found["metadata"]) == ("a fast boat on the lake", {"year": 2001})

        new = {"id": "new/1", "title": "n", "text": "a silver cat", "metadata": {"year": 1900}}
        written = client.put("/v1/documents", json={"documents": [new]}).json()
        assert (written["added"], written["updated"]) == (1, 0)
        assert written["index_version"] != before["version"]
        # It can be found by the very next request.
        body = {"query": "silver cat", "filter": "year < 1950", "facets": ["year"]}
        hits = client.post("/v1/search", json=body).json()
        assert [hit["id"] for hit in hits["hits"]] == ["new/1"]
        assert hits["index_version"] == written["index_version"]
        assert hits["facets"]["fields"]["year"] == [{"value": 1900, "count": 1}]
        many = client.post("/v1/search", json={"queries": ["bear", "boat"], "top": 1}).json()
        assert [each["query"] for each in many["results"]] == ["bear", "boat"]

        assert client.delete("/v1/documents/new%2F1").json()["deleted"] == 1
        assert client.get("/v1/documents/new%2F1").status_code == 404
        gone = client.post("/v1/documents/delete", json={"filter": {"year": 2000}}).json()
        assert gone["deleted"] == 1
        unknown = client.post("/v1/search", json={"query": "a", "filter": "yeer = 1"})
        assert unknown.status_code == 422
        assert unknown.json()["error"]["code"] == "invalid_filter"
        assert "did you mean 'year'" in unknown.json()["error"]["message"]
        assert client.post("/v1/index/compact", json={}).status_code == 202
        assert 'cloze_index{what="documents"} 2' in client.get("/metrics").text
