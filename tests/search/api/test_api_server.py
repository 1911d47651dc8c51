"""The process: its port, its end, what is no HTTP, and the real service behind it."""

import asyncio
import http.client
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import httpx
import pytest
from uvicorn.server import ServerState

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from search.api import protocol, server
from search.api.app import create_app
from search.api.server import Server, bound, configured, serve
from search.api.settings import ApiSettings
from search.hits import Request, Results
from search.index import Index
from search.service.service import Service
from search.service.settings import Limits, ServiceSettings
from tests.search.api.stubs import StubService, results

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 30


@contextmanager
def running(service: StubService | Service, settings: ApiSettings) -> Iterator[tuple[str, int]]:
    """Serve in a thread, and give the address."""
    with serving(service, settings) as (address, _):
        yield address


Connections = set[protocol.Protocol]


@contextmanager
def serving(
    service: StubService | Service, settings: ApiSettings
) -> Iterator[tuple[tuple[str, int], Connections]]:
    """Serve in a thread, and give the address and the connections."""
    app = create_app(service, settings)  # type: ignore[arg-type]
    ready = threading.Event()
    uvicorn = Server(configured(app, service.settings, settings), ready.set)
    with bound(settings) as listener:
        thread = threading.Thread(target=uvicorn.run, kwargs={"sockets": [listener]})
        thread.start()
        assert ready.wait(SECONDS)
        try:
            yield listener.getsockname(), uvicorn.server_state.connections  # type: ignore[misc]
        finally:
            uvicorn.should_exit = True
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


def status_of(connection: socket.socket) -> int:
    """Read one answer to its end, in however many pieces it comes."""
    with closing(http.client.HTTPResponse(connection)) as answer:
        answer.begin()
        assert answer.read()
        return answer.status


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
            status, _, body = answer_of(b"".join(iter(lambda: connection.recv(65_536), b"")))
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


CHUNKED = (
    b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Transfer-Encoding: chunked\r\n\r\nd\r\n{"query":"a"}\r\n0\r\n'
)


def test_trailers_are_nobodys() -> None:
    with (
        serving(StubService(), SETTINGS) as (address, connections),
        socket.create_connection(address, timeout=SECONDS) as connection,
    ):
        for _ in range(3):
            connection.sendall(CHUNKED + b"Expect: 100-continue\r\nX-Long: a\r\n" * 9 + b"\r\n")
            assert status_of(connection) == 200
        (its,) = connections
        assert [name for name, _ in its.headers] == [
            b"host", b"content-type", b"transfer-encoding"
        ]  # fmt: skip


@pytest.mark.parametrize("begin", [CHUNKED, CHUNKED.replace(b"POST", b"GET"), CHUNKED + b"X: "])
@pytest.mark.parametrize("trailer", [b"X: a\r\n", b"X", b"1"])
def test_trailers_have_an_end(address: tuple[str, int], begin: bytes, trailer: bytes) -> None:
    part = (trailer * 10_000)[:10_000]
    with socket.create_connection(address, timeout=SECONDS) as connection:
        assert ends(connection, itertools.chain([begin], itertools.repeat(part, 200)))


def ends(connection: socket.socket, parts: Iterable[bytes]) -> bool:
    """Whether the server closes a connection while these parts are sent, or after the last."""
    connection.settimeout(0.02)
    for part in parts:
        try:
            connection.sendall(part)
            while connection.recv(65_536):
                pass
        except TimeoutError:
            continue
        except ConnectionError:
            pass
        return True
    return False


@pytest.mark.parametrize(
    ("asked", "part"),
    [(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\r\n"),
     (b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", b"a"),
     (b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
      b"a: b\r\n")],
)  # fmt: skip
def test_a_connection_that_rests_has_an_end(
    asked: bytes, part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_KEEP_ALIVE", 0.2)
    with (
        running(StubService(), SETTINGS) as address,
        socket.create_connection(address, timeout=SECONDS) as connection,
    ):
        connection.sendall(asked)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 ")
        assert ends(connection, itertools.repeat(part, 200))


def test_a_connection_in_use_does_not_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_KEEP_ALIVE", 0.2)
    service = StubService(hold=True)
    get = b"GET /v1/search?q=a HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        running(service, SETTINGS) as address,
        socket.create_connection(address, timeout=SECONDS) as connection,
    ):
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status_of(connection) == 200
        connection.sendall(get)
        until(lambda: service.held)
        time.sleep(0.3)
        service.held[0].set_result([results(Request(query="a"))])
        assert status_of(connection) == 200


def until(true: Callable[[], object]) -> None:
    for _ in range(SECONDS * 100):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("last", [b"\r\n", b"Connection: close\r\n\r\n"])
def test_an_answer_that_is_left_lying(last: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.1)
    monkeypatch.setattr(server, "_KEEP_ALIVE", 1_000)
    long = replace(results(Request(query="a")), query="a" * 30_000_000)
    with (
        serving(StubService(answer=lambda call: [long]), SETTINGS) as (address, connections),
        socket.create_connection(address, timeout=SECONDS) as connection,
    ):
        connection.sendall(b"GET /v1/search?q=a HTTP/1.1\r\nHost: localhost\r\n" + last)
        assert connection.recv(9) == b"HTTP/1.1 "
        until(lambda: not connections)


class Transport:
    """A connection whose client takes so much each time that it is looked at."""

    def __init__(self, *left: int) -> None:
        self.left = list(left)
        self.closed = False
        self.aborted = asyncio.Event()

    def get_extra_info(self, name: str) -> None:
        return None

    def get_write_buffer_size(self) -> int:
        return self.left.pop(0)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted.set()


async def connected(transport: Transport) -> protocol.Protocol:
    app = create_app(StubService(), SETTINGS)  # type: ignore[arg-type]
    config = configured(app, ServiceSettings(), SETTINGS)
    connection = protocol.Protocol(config, ServerState(), {})
    connection.connection_made(transport)  # type: ignore[arg-type]
    return connection


def test_a_slow_client_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.01)
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 1_000)
    most = protocol.MIN_WRITTEN

    async def take() -> None:
        transport = Transport(9 * most, 8 * most, 6 * most, 5 * most + 1)
        connection = await connected(transport)
        connection.pause_writing()
        await asyncio.wait_for(transport.aborted.wait(), SECONDS)
        assert transport.left == []
        connection.connection_lost(None)

        transport = Transport(9 * most, 9 * most)
        connection = await connected(transport)
        connection.pause_writing()
        connection.resume_writing()
        await asyncio.sleep(0.05)
        assert not transport.aborted.is_set()
        connection.connection_lost(None)

    asyncio.run(take())


def test_a_rest_that_nobody_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.01)

    async def rest() -> None:
        transport = Transport(100, 100)
        connection = await connected(transport)
        connection.timeout_keep_alive_handler()
        assert transport.closed
        await asyncio.wait_for(transport.aborted.wait(), SECONDS)
        connection.connection_lost(None)

    asyncio.run(rest())


def test_connections_are_counted() -> None:
    get = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    settings = replace(SETTINGS, max_connections=2)
    with serving(StubService(), settings) as (address, connections):
        taken = [socket.create_connection(address, timeout=SECONDS) for _ in range(2)]
        until(lambda: len(connections) == 2)
        status, headers, body = answer_of(spoken(address))
        error = json.loads(body)["error"]
        assert (status, error["code"], headers["retry-after"]) == (503, "unavailable", "1")
        assert (error["message"].split(";")[0], error["id"], headers["content-type"]) == (
            "there are 2 connections already (--max-connections)", headers["x-request-id"],
            "application/json",
        )  # fmt: skip
        until(lambda: len(connections) == 2)
        for each in taken:
            each.sendall(get)
            assert each.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        taken[0].close()
        until(lambda: len(connections) == 1)
        assert answer_of(spoken(address, get[:-2] + b"Connection: close\r\n\r\n"))[0] == 200
        taken[1].close()


def test_connections_go_by_the_limit_of_open_files() -> None:
    files = (100, 512, 1_024, 4_352, 1 << 20, resource.RLIM_INFINITY)
    assert [server.connections_within(each) for each in files] == [
        50, 256, 768, 4_096, 4_096, 4_096
    ]  # fmt: skip
    app = create_app(StubService(), SETTINGS)  # type: ignore[arg-type]
    config = configured(app, ServiceSettings(), SETTINGS)
    most = config.limit_concurrency
    assert most == server.connections_within(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def test_requests_in_a_row_have_an_end() -> None:
    get = b"GET /v1/search?q=a HTTP/1.1\r\nHost: localhost\r\n\r\n"
    service = StubService(hold=True)
    with (
        running(service, SETTINGS) as address,
        socket.create_connection(address, timeout=SECONDS) as connection,
    ):
        connection.sendall(get * (protocol.MAX_PIPELINED + 1))
        until(lambda: service.held)
        assert not ends(connection, [b""])
        assert ends(connection, itertools.chain([get], itertools.repeat(b"", 100)))
        service.held[0].set_result([results(Request(query="a"))])


def test_a_length_of_thousands_of_digits(address: tuple[str, int]) -> None:
    head = b"POST /v1/search HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: "
    for digits, expected in ((b"13", 200), (b"0" * 5_000 + b"13", 400), (b"9" * 19, 413)):
        sent = head + digits + b"\r\n" + LAST + b'{"query":"a"}'
        assert answer_of(spoken(address, sent))[0] == expected


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
            assert status_of(connection) == 200


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
        return True
    def search(self, requests, deadline):
        future = super().search(requests, deadline)
        say("asked")
        answer = [results(each) for each in requests]
        threading.Timer(0.5, future.set_result, [answer]).start()
        return future

server.Service = Slow
server.serve(Path("docs"), ServiceSettings(), ApiSettings(port=0, access_log=False), say)
"""
STUCK = """
import sys, threading
from pathlib import Path
from search.api import server
from search.api.settings import ApiSettings
from search.service.settings import ServiceSettings
from tests.search.api.stubs import StubService

def say(line):
    print(line, flush=True)

class Stuck(StubService):
    def __init__(self, folder, settings):
        super().__init__(settings=settings, folder=folder, hold=True)
    def start(self):
        pass
    def close(self, seconds):
        say(f"closing in {seconds:g} s")
        if seconds:
            threading.Event().wait()
        return not seconds
    def search(self, requests, deadline):
        future = super().search(requests, deadline)
        say("asked")
        return future

server.Service = Stuck
api = ApiSettings(port=0, access_log=False)
say(server.serve(Path("docs"), ServiceSettings(timeout=1_000), api, say))
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
    # Whoever reads from one that hangs reads its end then.
    patience = threading.Timer(SECONDS, started.kill)
    patience.start()
    try:
        yield started
    finally:
        patience.cancel()
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


def test_a_second_signal_waits_for_no_answer() -> None:
    with process(STUCK) as stuck:
        address = line(stuck.stdout)
        thread, found = in_thread(lambda: refused(address))
        assert line(stuck.stdout) == "asked"
        stuck.send_signal(signal.SIGTERM)
        with socket.socket() as asking:
            # The first one has been heard once nobody listens.
            host, port = address.removeprefix("http://").split(":")
            while not asking.connect_ex((host, int(port))):
                asking.close()
                asking = socket.socket()
        stuck.send_signal(signal.SIGTERM)
        thread.join(SECONDS)
        assert found == [True]
        assert stuck.wait(SECONDS) == 0
        assert stuck.stdout is not None
        assert stuck.stdout.read().splitlines()[-2:] == ["closing in 0 s", "False"]


def test_a_second_signal_ends_connections() -> None:
    async def end() -> None:
        transport = Transport(0, 0)
        connection = await connected(transport)
        ending = Server(connection.config, lambda: None)
        ending.servers = []
        ending.server_state.connections.add(connection)
        ending.force_exit = True
        await ending.shutdown()
        assert transport.aborted.is_set()
        connection.connection_lost(None)

    asyncio.run(end())


def refused(address: str) -> bool:
    try:
        answer = httpx.post(f"{address}/v1/search", json={"query": "a"}, timeout=SECONDS)
    except httpx.TransportError:
        return True
    return answer.status_code == 503


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_waits_for_no_thread(number: signal.Signals) -> None:
    with process(STUCK) as stuck:
        line(stuck.stdout)
        stuck.send_signal(number)
        assert line(stuck.stdout) == "closing in 1000 s"
        stuck.send_signal(number)
        assert line(stuck.stdout) == "closing in 0 s"
        assert line(stuck.stdout) == "False"
        assert stuck.wait(SECONDS) == 0


def test_the_last_lines_are_written() -> None:
    # Its writer is still at it when the service has been closed.
    late = """
import io, time
class Late(io.StringIO):
    def write(self, text):
        closed.wait()
        time.sleep(1)
        say("logged")
        return len(text)
closed = threading.Event()
sys.stderr = Late()
Stuck.close = lambda self, seconds: closed.set()
api ="""
    script = STUCK.replace("\napi =", late).replace("access_log=False", "access_log=True")
    with process(script) as stuck:
        assert httpx.get(f"{line(stuck.stdout)}/health/live", timeout=SECONDS).status_code == 200
        stuck.send_signal(signal.SIGTERM)
        assert line(stuck.stdout) == "logged"
        assert stuck.wait(SECONDS) == 0


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
