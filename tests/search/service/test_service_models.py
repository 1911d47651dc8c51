"""The models' thread: slices, whose turn it is, and models kept for one thread."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.runtime.rows import TokenRow
from search.hits import Request
from search.service import models as models_module
from search.service.errors import StoppingError
from search.service.jobs import Search
from search.service.models import Models, slices
from search.service.observer import Unobserved
from search.service.worker import Worker
from tests.search.service.holding import until


class Doubling:
    """A model whose output is twice the first token of a row; it may be made to wait."""

    device = "cpu"

    def __init__(self, log: list[object]) -> None:
        self.log = log
        self.hold = threading.Event()
        self.hold.set()
        self.held = threading.Event()

    def run_here(self, rows: Sequence[TokenRow]) -> Iterator[tuple[list[int], Any]]:
        self.held.set()
        assert self.hold.wait(10)
        self.log.append([row.ids[0] for row in rows])
        if any(row.ids[0] == 13 for row in rows):
            raise ValueError("13")
        for place in reversed(range(len(rows))):  # in an order of its own, in several batches
            yield [place], (np.array([2 * rows[place].ids[0]], dtype=np.float32),)


def row(first: int, length: int = 600) -> TokenRow:
    return TokenRow([first] * length)


def search() -> Search:
    return Search(requests=[Request(query="a")], deadline=0, slow=False, dense=[0])


@contextmanager
def running(
    log: list[object], died: Callable[[BaseException], None] | None = None
) -> Iterator[Models]:
    def encode(searches: Sequence[Search]) -> Sequence[Search]:
        log.append(len(searches))
        return []

    def unexpected(error: BaseException) -> None:
        raise AssertionError from error

    models = Models(encode, 2, Unobserved())
    worker = Worker("models", models.session, died or unexpected)
    worker.start()
    yield models
    models.stop()
    worker.join(10)


def outputs(models: Models, model: Doubling, rows: Sequence[TokenRow]) -> dict[int, float]:
    found: dict[int, float] = {}
    for places, (values,) in models.run(model, rows):  # type: ignore[arg-type]
        found |= zip(places, values.tolist(), strict=True)
    return found


@given(st.lists(st.integers(1, 1500)))
def test_slices_have_every_row_once_the_longest_first_and_few_tokens(lengths: list[int]) -> None:
    found = list(slices(lengths, 1024))
    order = [place for part in found for place in part]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[place] for place in order] == sorted(lengths, reverse=True)
    for part in found:
        assert len(part) == 1 or sum(lengths[place] for place in part) <= 1024


def test_rows_are_run_in_slices_and_each_has_its_own_output() -> None:
    log: list[object] = []
    with running(log) as models:
        found = outputs(models, Doubling(log), [row(5), row(6, 500), row(7, 400), row(8, 700)])
    assert found == {0: 10.0, 1: 12.0, 2: 14.0, 3: 16.0}
    assert log == [[8], [5], [6, 7]]


def test_no_rows_give_no_outputs() -> None:
    with running([]) as models:
        assert outputs(models, Doubling([]), []) == {}


def test_a_query_waits_for_one_slice_at_most() -> None:
    log: list[object] = []
    model = Doubling(log)
    model.hold.clear()
    with running(log) as models, ThreadPoolExecutor() as pool:
        models.submit(search())
        future = pool.submit(_as, models, "documents", model, [row(1), row(2), row(3)])
        assert model.held.wait(10)
        for _ in range(3):
            models.submit(search())
        model.hold.set()
        future.result(10)
    assert log == [1, [1], 2, 1, [2], [3]]


def _as(models: Models, kind: str, model: Doubling, rows: Sequence[TokenRow]) -> dict[int, float]:
    models.serve_as(kind)
    return outputs(models, model, rows)


def test_what_is_due_first_goes_first_and_nothing_starves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models_module, "ALLOWANCE", {"query": 0, "pairs": 5000, "documents": 9000})
    log: list[object] = []
    model = Doubling(log)
    model.hold.clear()
    with running(log) as models, ThreadPoolExecutor() as pool:
        futures = [pool.submit(_as, models, "query", model, [row(1)])]
        assert model.held.wait(10)
        for kind, first in (("documents", 2), ("pairs", 3), ("query", 4)):
            futures.append(pool.submit(_as, models, kind, model, [row(first)]))
            until(lambda: len(models._slices) == len(futures) - 1)
        late = search()
        late.arrived += 7000  # after the pairs were due, and before the documents
        models.submit(late)
        model.hold.set()
        for future in futures:
            future.result(10)
    assert log == [[1], [4], [3], 1, [2]]


def test_an_error_is_the_callers_own() -> None:
    log: list[object] = []
    model = Doubling(log)
    with running(log) as models:
        with pytest.raises(ValueError, match="13"):
            outputs(models, model, [row(13)])
        assert outputs(models, model, [row(1)]) == {0: 2.0}


def test_models_kept_for_a_thread_run_there_alone() -> None:
    log: list[object] = []
    model, other = Doubling(log), Doubling(log)
    with running(log) as models, ThreadPoolExecutor() as pool:
        with models.exclusive():
            with models.exclusive():  # a part of the work may ask for itself
                assert outputs(models, model, [row(1), row(2)]) == {0: 2.0, 1: 4.0}
            future = pool.submit(outputs, models, other, [row(3)])
            models.submit(search())
            until(lambda: len(models._slices) == 1)
            assert not other.held.is_set()
            log.append("done")
        assert future.result(10) == {0: 6.0}
    assert log[:2] == [[1, 2], "done"]  # in the caller's thread nothing is cut
    assert sorted(map(str, log[2:])) == ["1", "[3]"]


def test_who_wants_the_models_waits_for_the_slice_that_runs() -> None:
    log: list[object] = []
    model = Doubling(log)
    model.hold.clear()
    with running(log) as models, ThreadPoolExecutor() as pool:
        first = pool.submit(outputs, models, model, [row(1), row(2)])
        assert model.held.wait(10)

        def alone() -> None:
            with models.exclusive():
                log.append("alone")

        second = pool.submit(alone)
        until(lambda: models._claims == 1)
        model.hold.set()
        first.result(10)
        second.result(10)
    assert log == [[1], "alone", [2]]


def test_stopping_fails_those_who_wait_for_rows() -> None:
    log: list[object] = []
    model = Doubling(log)
    model.hold.clear()
    with running(log) as models, ThreadPoolExecutor() as pool:
        first = pool.submit(outputs, models, model, [row(1)])
        assert model.held.wait(10)
        second = pool.submit(outputs, models, model, [row(2)])
        until(lambda: len(models._slices) == 1)
        models.stop()
        model.hold.set()
        assert first.result(10) == {0: 2.0}
        assert isinstance(second.exception(10), StoppingError)
        with pytest.raises(StoppingError):
            outputs(models, model, [row(3)])
    assert log == [[1]]


def test_a_thread_that_ends_by_an_error_says_so() -> None:
    died: Future[BaseException] = Future()
    models = Models(_fail, 2, Unobserved())
    worker = Worker("models", models.session, died.set_result)
    worker.start()
    models.submit(search())
    assert str(died.result(10)) == "unexpected"
    worker.join(10)


def _fail(searches: Sequence[Search]) -> Sequence[Search]:
    raise RuntimeError("unexpected")


class Unexpected(BaseException):
    """What nobody thought of."""


def test_who_waits_for_a_slice_hears_of_the_end_of_the_thread() -> None:
    class Ending(Doubling):
        def run_here(self, rows: Sequence[TokenRow]) -> Iterator[tuple[list[int], Any]]:
            raise Unexpected

    died: Future[BaseException] = Future()
    with running([], died.set_result) as models:
        with pytest.raises(Unexpected):
            outputs(models, Ending([]), [row(1)])
        assert isinstance(died.result(10), Unexpected)
