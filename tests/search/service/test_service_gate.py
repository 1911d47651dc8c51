"""Places: who gets one, when it is free again, and what is said when there is none."""

from concurrent.futures import Future
from time import monotonic
from typing import Any

import pytest

from search.service import gate as gate_module
from search.service.errors import BusyError, StoppingError
from search.service.gate import Gate


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as the gate sees it."""
    now = [100.0]
    monkeypatch.setattr(gate_module, "monotonic", lambda: now[0])
    return now


def admitted(gate: Gate, count: int) -> "list[Future[Any]]":
    futures: list[Future[Any]] = [Future() for _ in range(count)]
    for future in futures:
        gate.admit(future)
    return futures


def opened(places: int) -> Gate:
    gate = Gate("searches", places)
    gate.open()
    return gate


def test_a_place_is_free_again_once_its_future_has_ended_in_any_way() -> None:
    gate = opened(3)
    futures = admitted(gate, 3)
    with pytest.raises(BusyError, match=r"3 searches are in flight, at most 3 may be"):
        gate.check()
    with pytest.raises(BusyError):
        gate.admit(Future())
    futures[0].set_result(1)
    assert gate.in_flight == 2
    futures[1].set_exception(ValueError())
    assert futures[2].cancel()
    assert gate.in_flight == 0
    admitted(gate, 3)


def test_a_refused_future_holds_no_place() -> None:
    gate = opened(1)
    (first,) = admitted(gate, 1)
    refused: Future[Any] = Future()
    with pytest.raises(BusyError):
        gate.admit(refused)
    refused.set_result(None)
    assert gate.in_flight == 1
    first.set_result(None)
    assert gate.in_flight == 0


def test_the_advice_is_the_time_that_those_in_flight_will_take(clock: list[float]) -> None:
    gate = opened(8)
    for _ in range(50):  # two at once every second: half a second each
        futures = admitted(gate, 2)
        clock[0] += 1.0
        for future in futures:
            future.set_result(None)
        clock[0] += 40.0  # nobody asks: that is no measure of speed
    admitted(gate, 8)
    with pytest.raises(BusyError) as refused:
        gate.check()
    assert refused.value.seconds == pytest.approx(8 * 0.5, rel=0.02)


def test_cancelled_requests_do_not_make_the_advice_shorter(clock: list[float]) -> None:
    gate = opened(4)
    for _ in range(50):
        done, left = admitted(gate, 2)
        clock[0] += 1.0
        done.set_result(None)
        left.cancel()
    admitted(gate, 4)
    with pytest.raises(BusyError) as refused:
        gate.check()
    assert refused.value.seconds == pytest.approx(4 * 1.0, rel=0.02)


def test_without_any_measure_the_advice_is_a_second_each() -> None:
    gate = opened(2)
    admitted(gate, 2)
    with pytest.raises(BusyError) as refused:
        gate.check()
    assert refused.value.seconds == 2.0


def test_a_closed_gate_says_why_and_waits_for_those_inside() -> None:
    gate = Gate("searches", 2)
    with pytest.raises(StoppingError, match="not started"):
        gate.admit(Future())
    gate.open()
    (inside, other) = admitted(gate, 2)
    gate.close("it stops")
    with pytest.raises(StoppingError, match="it stops"):
        gate.check()
    assert not gate.drained(monotonic())
    inside.set_result(None)
    error = StoppingError("failed")
    gate.fail_all(error)
    assert other.exception() is error
    assert gate.drained(monotonic())
