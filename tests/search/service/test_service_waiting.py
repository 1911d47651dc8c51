"""Jobs that wait: taken in order, as many as fit, and by a thread that is woken."""

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from search.service.waiting import Waiting, first


@dataclass(frozen=True)
class Job:
    number: int
    size: int
    future: "Future[None]" = field(default_factory=Future, compare=False)


def jobs(sizes: list[int]) -> list[Job]:
    return [Job(number, size) for number, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 9)), st.integers(1, 20))
def test_first_takes_the_longest_beginning_that_fits_but_always_something(
    sizes: list[int], most: int
) -> None:
    left = deque(jobs(sizes))
    batches = []
    while left:
        batches.append(first(left, most))
    assert [job for batch in batches for job in batch] == jobs(sizes)
    for batch, following in zip(batches, [*batches, None][1:], strict=True):
        total = sum(job.size for job in batch)
        assert total <= most or len(batch) == 1
        assert following is None or total + following[0].size > most
    assert first(left, most) == []


def test_a_waiting_thread_gets_all_that_was_put_at_once() -> None:
    waiting: Waiting[Job] = Waiting()
    taken: list[list[Job]] = []
    thread = threading.Thread(target=lambda: taken.append(waiting.take(10)))
    thread.start()
    waiting.put(jobs([1, 2, 3]))
    thread.join(10)
    assert taken == [jobs([1, 2, 3])]
    assert waiting.take(10, wait=False) == []


def test_stopping_wakes_who_waits_and_keeps_the_rest_back() -> None:
    waiting: Waiting[Job] = Waiting()
    taken: list[list[Job]] = []
    thread = threading.Thread(target=lambda: taken.append(waiting.take(10)))
    thread.start()
    waiting.stop()
    thread.join(10)
    assert taken == [[]]
    waiting.put(jobs([1]))
    assert waiting.take(10) == []
    assert waiting.stopped
