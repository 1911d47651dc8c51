"""Who leaves, who is slow and who waits too long; spoken in ASGI, to see every message."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from starlette.types import ASGIApp, Message

from search.api import metrics, operation_routes
from search.api.app import create_app
from search.api.settings import ApiSettings
from search.hits import Request
from search.service.settings import Limits, ServiceSettings
from tests.search.api.stubs import StubService, results

BODY = b'{"query": "a"}'
FULL: Message = {"type": "http.request", "body": BODY, "more_body": False}
GONE: Message = {"type": "http.disconnect"}


class Call:
    """One request, whose messages a test puts in, and the answer's messages."""

    def __init__(
        self,
        app: ASGIApp,
        method: str = "POST",
        query: bytes = b"",
        path: str = "/v1/search",
        length: int | None = None,
    ) -> None:
        self._app = app
        self._scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(),
            "query_string": query, "root_path": "", "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50_000), "state": {},
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
        }  # fmt: skip
        if length is not None:
            self._scope["headers"].append((b"content-length", b"%d" % length))
        self.come: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    async def answered(self) -> None:
        await self._app(self._scope, self.come.get, self._send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = orjson.loads(self.sent[1]["body"])["error"]
        return error


def app_of(service: StubService, **options: Any) -> ASGIApp:  # noqa: ANN401
    return create_app(service, ApiSettings(**{"access_log": False, **options}))  # type: ignore[arg-type]


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(within())


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(("method", "query"), [("POST", b""), ("GET", b"q=a")])
def test_who_leaves_frees_the_place(method: str, query: bytes) -> None:
    service = StubService(hold=True)

    async def leave() -> None:
        call = Call(app_of(service), method, query)
        call.come.put_nowait(FULL)
        task = asyncio.ensure_future(call.answered())
        await until(lambda: service.held)
        assert not service.held[0].cancelled()
        call.come.put_nowait(GONE)
        await task
        assert service.held[0].cancelled()
        assert call.sent == []

    run(leave)


def test_who_leaves_before_the_body_ends_asks_nothing() -> None:
    service = StubService()

    async def leave() -> None:
        call = Call(app_of(service))
        call.come.put_nowait({"type": "http.request", "body": BODY, "more_body": True})
        call.come.put_nowait(GONE)
        await call.answered()
        assert (call.sent, service.calls) == ([], [])

    run(leave)


def test_who_stays_is_answered() -> None:
    service = StubService(hold=True)

    async def stay() -> None:
        call = Call(app_of(service))
        call.come.put_nowait(FULL)
        task = asyncio.ensure_future(call.answered())
        await until(lambda: service.held)
        service.held[0].set_result([results(Request(query="a"))])
        await task
        assert call.status == 200
        # Nothing is left behind that waits for this client.
        assert len(asyncio.all_tasks()) == 1

    run(stay)


def test_what_takes_too_long_is_given_up() -> None:
    service = StubService(hold=True, settings=ServiceSettings(timeout=0.05))

    async def wait() -> None:
        call = Call(app_of(service))
        call.come.put_nowait(FULL)
        began = time.monotonic()
        await call.answered()
        assert time.monotonic() - began >= 0.05
        assert (call.status, call.error["code"]) == (504, "timeout")
        assert "0.05 s (--timeout)" in call.error["message"]
        assert service.held[0].cancelled()

    run(wait)


def test_the_deadline_counts_from_the_head() -> None:
    service = StubService(hold=True, settings=ServiceSettings(timeout=0.05))

    async def wait() -> None:
        call = Call(app_of(service))
        task = asyncio.ensure_future(call.answered())
        await asyncio.sleep(0.06)
        call.come.put_nowait(FULL)
        await task
        assert call.status == 504

    run(wait)


def test_a_slow_body_is_not_waited_for() -> None:
    service = StubService()

    async def wait() -> None:
        call = Call(app_of(service, body_seconds=0.05))
        call.come.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
        await call.answered()
        assert (call.status, call.error["code"]) == (408, "body_timeout")
        assert (b"connection", b"close") in call.sent[0]["headers"]

    run(wait)


def test_a_body_is_not_read_beyond_its_limit() -> None:
    service = StubService(settings=replace(ServiceSettings(), limits=Limits(body=100)))

    async def stream() -> None:
        call = Call(app_of(service))
        for _ in range(10):
            call.come.put_nowait({"type": "http.request", "body": b" " * 30, "more_body": True})
        await call.answered()
        assert (call.status, call.come.qsize()) == (413, 6)

    run(stream)


def test_a_body_in_pieces_is_whole() -> None:
    service = StubService()

    async def stream() -> None:
        call = Call(app_of(service))
        for byte in BODY:
            call.come.put_nowait({"type": "http.request", "body": bytes([byte]), "more_body": True})
        call.come.put_nowait({"type": "http.request"})
        task = asyncio.ensure_future(call.answered())
        await task
        assert call.status == 200
        assert service.calls[0][0].query == "a"

    run(stream)


def test_a_server_that_gives_up_says_so() -> None:
    service = StubService(hold=True)

    async def stop() -> None:
        call = Call(app_of(service))
        call.come.put_nowait(FULL)
        task = asyncio.ensure_future(call.answered())
        await until(lambda: service.held)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (call.status, call.error["code"]) == (503, "unavailable")
        assert service.held[0].cancelled()

    run(stop)


def test_a_full_queue_leaves_the_body_alone() -> None:
    async def refuse() -> None:
        call = Call(app_of(StubService(full=frozenset({"searches"}))))
        call.come.put_nowait(FULL)
        await call.answered()
        assert (call.status, call.come.qsize()) == (429, 1)

    run(refuse)


def test_bodies_have_places_while_they_are_read() -> None:
    service = StubService(settings=ServiceSettings(queue=1))

    async def upload() -> None:
        app = app_of(service)
        calls = [Call(app) for _ in range(3)]
        slow = [asyncio.ensure_future(each.answered()) for each in calls[:2]]
        for each in calls:
            each.come.put_nowait({"type": "http.request", "body": BODY[:3], "more_body": True})
        await until(lambda: not any(each.come.qsize() for each in calls[:2]))
        await calls[2].answered()
        assert (calls[2].status, calls[2].error["code"]) == (429, "overloaded")
        assert any(name == b"retry-after" for name, _ in calls[2].sent[0]["headers"])
        assert calls[2].come.qsize() == 1  # nothing of its body was read
        # Another kind has places of its own.
        write = Call(app, "DELETE", path="/v1/documents/a")
        write.come.put_nowait(FULL)
        await write.answered()
        assert write.status == 404
        # Who leaves gives the place up, and who is answered.
        calls[0].come.put_nowait(GONE)
        calls[1].come.put_nowait({"type": "http.request", "body": BODY[3:]})
        await asyncio.gather(*slow)
        assert calls[1].status == 200
        for _ in range(3):
            call = Call(app)
            call.come.put_nowait(FULL)
            await call.answered()
            assert call.status == 200

    run(upload)


@pytest.mark.parametrize(("length", "places"), [(25, 8), (26, 2), (None, 2), (3, 8)])
def test_four_times_as_many_writes_are_read_where_their_bodies_are_small(
    length: int | None, places: int
) -> None:
    service = StubService(settings=ServiceSettings(queue=1, limits=Limits(body=100)))
    part: Message = {"type": "http.request", "body": b"{", "more_body": True}

    async def upload() -> None:
        app = app_of(service)
        calls = [
            Call(app, "PUT", path="/v1/documents", length=length) for _ in range(places + 1)
        ]  # fmt: skip
        slow = [asyncio.ensure_future(each.answered()) for each in calls[:-1]]
        for each in calls:
            each.come.put_nowait(part)
        await until(lambda: not any(each.come.qsize() for each in calls[:-1]))
        await calls[-1].answered()
        assert (calls[-1].status, calls[-1].come.qsize()) == (429, 1)
        for each in calls[:-1]:
            each.come.put_nowait(GONE)
        await asyncio.gather(*slow)
        again = Call(app, "PUT", path="/v1/documents", length=length)
        again.come.put_nowait(GONE)
        await again.answered()
        assert again.sent == []

    run(upload)


def test_figures_do_not_wait_for_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation_routes, "_PATIENCE", 0.02)
    service = StubService()

    async def scrape() -> None:
        app = app_of(service)
        monkeypatch.setattr(metrics, "_FRESH", -1.0)
        texts = []
        for service.hold in (False, True, False):
            call = Call(app, "GET", path="/metrics")
            call.come.put_nowait(FULL)
            await call.answered()
            assert call.status == 200
            texts.append(call.sent[1]["body"])
        assert [b"\ncloze_index{" in each for each in texts] == [True, False, True]
        assert all(b"\ncloze_requests_in_flight{" in each for each in texts)
        assert service.held[0].cancelled()

    run(scrape)


def test_other_protocols() -> None:
    async def socket() -> None:
        call = Call(app_of(StubService()))
        call._scope["type"] = "websocket"
        await call.answered()
        assert call.sent == [{"type": "websocket.close"}]

    run(socket)
