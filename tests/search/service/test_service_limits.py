"""What one caller may not do to the others: hold a lane, a queue, the models or the writer."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.index import Index as StoredIndex
from indexer.lock import LockedError
from indexer.runtime.rows import TokenRow
from search.hits import Request, Results
from search.service.errors import LateError
from search.service.waiting import Waiting
from search.service.writes import Compact
from tests.search.service.holding import Serve, lane_held, models_held, soon, until


def test_a_slow_search_ends_when_its_time_is_over(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(folder)
    (warm,) = service.search([Request(query="snow", rerank="late")], soon()).result(30)
    assert isinstance(warm, Results)
    long = [Request(query=f"snow {n}", rerank="late", rerank_depth=100) for n in range(20)]
    clock = [monotonic()]
    monkeypatch.setattr("search.service.models.monotonic", lambda: clock[0])
    with lane_held(service._slow):
        future = service.search(long, clock[0] + 1000)
        until(lambda: any(getattr(job, "size", 0) == 20 for job in service._slow.waiting._jobs))
        clock[0] += 2000
    answers = future.result(30)
    assert all(isinstance(each, LateError) for each in answers)


def test_queries_of_one_large_search_are_encoded_in_slices_between_others(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(folder, batch_tokens=64)
    sizes: list[int] = []
    vectors = Encoder.vectors

    def noted(encoder: Encoder, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        sizes.append(sum(len(row.ids) for row in rows))
        return vectors(encoder, rows)

    monkeypatch.setattr(Encoder, "vectors", noted)
    with models_held(service):
        large = service.search([Request(query="red river " * 10)] * 12, soon())
        small = service.search([Request(query="bear")], soon())
    answers = large.result(30)
    assert len(sizes) >= 4
    assert max(sizes) <= 64
    (alone,) = service.search([Request(query="red river " * 10)], soon()).result(30)
    assert isinstance(alone, Results)
    assert [each.hits for each in answers if isinstance(each, Results)] == [alone.hits] * 12
    (found,) = small.result(30)
    assert isinstance(found, Results)


def test_a_query_that_no_tokenizer_reads_fails_alone(folder: Path, serve: Serve) -> None:
    service = serve(folder)
    with models_held(service):
        broken = service.search([Request(query="half \ud800 letter")], soon())
        sound = service.search([Request(query="bear")], soon())
    assert broken.exception(30) is not None
    assert isinstance(sound.result(30)[0], Results)
    assert service.ready


def test_an_encoder_that_cannot_be_had_leaves_words_searchable(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(folder)

    def fails(index: object, name: str, *, tokens: bool) -> Encoder:
        raise MemoryError("no memory for a model")

    monkeypatch.setattr(service._handles, "_load", fails)
    handles = service._handles
    with StoredIndex.open(folder) as index:
        index.__dict__.pop("encoder", None)
        handles.served = type(handles.served)()
        index._encoder_loader = lambda opened, name: fails(opened, name, tokens=False)
        handles.follow(index)
        assert handles.served.encoder is None
        assert handles.served.seal is not None
    (found,) = service.search([Request(query="bear", mode="lexical")], soon()).result(30)
    assert isinstance(found, Results)
    assert service.ready
    # The lane's handle still has it, and tells so with its next search.
    (found,) = service.search([Request(query="bear")], soon()).result(30)
    assert isinstance(found, Results)
    until(lambda: handles.served.encoder is not None)


def test_the_served_reranker_orders_where_a_search_does_not_say(folder: Path, serve: Serve) -> None:
    service = serve(folder, rerank="late")
    (found,) = service.search([Request(query="snow")], soon()).result(30)
    assert isinstance(found, Results)
    assert "rerank" in found.hits[0].stages
    (plain,) = service.search([Request(query="snow", rerank="none")], soon()).result(30)
    assert isinstance(plain, Results)
    assert "rerank" not in plain.hits[0].stages


def test_none_served_outdoes_the_indexs_default(folder: Path, serve: Serve) -> None:
    service = serve(folder, rerank="none")
    subprocess.run(
        [sys.executable, "-m", "cloze", "defaults", str(folder), "--rerank", "late"],
        check=True, capture_output=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    for _ in range(2):  # the first one finds the new default
        (found,) = service.search([Request(query="snow")], soon()).result(30)
        assert isinstance(found, Results)
        assert "rerank" not in found.hits[0].stages


def test_what_nobody_waits_for_leaves_the_queue() -> None:
    waiting: Waiting[Compact] = Waiting()
    futures: list[Future[None]] = []
    for _ in range(50):
        job = Compact()
        waiting.put([job])
        futures.append(job.future)
        job.future.cancel()
    assert len(waiting._jobs) == 1


def test_a_locked_index_fails_all_that_waits_at_once(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(folder)
    tries = 0

    def locked(*arguments: object, **options: object) -> None:
        nonlocal tries
        tries += 1
        raise LockedError("another process writes")

    monkeypatch.setattr(StoredIndex, "add", locked)
    with models_held(service):
        futures = [service.put([Document(id=f"n{n}", text="a ship")], soon()) for n in range(6)]
    errors = [future.exception(30) for future in futures]
    assert all(isinstance(each, LockedError) for each in errors)
    assert tries <= 3  # how many groups they came in


def test_a_write_that_was_answered_is_not_made_again(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(folder)
    made = 0
    add = StoredIndex.add

    def fails_behind(index: StoredIndex, *arguments: object, **options: object) -> None:
        nonlocal made
        made += 1
        add(index, *arguments, **options)  # type: ignore[arg-type]
        index.manifest = type(index.manifest)(**{
            name: getattr(index.manifest, name) for name in index.manifest.__dataclass_fields__
        } | {"recall": 0.5})  # fmt: skip  # as if another process had compacted
        raise ClozeError("the vectors could not be saved")

    monkeypatch.setattr(StoredIndex, "add", fails_behind)
    written = service.put([Document(id="new", text="a ship")], soon()).result(30)
    assert written.added == 1
    ended = threading.Event()
    ended.wait(0.2)
    assert made == 1


def test_closing_says_whether_all_was_finished(folder: Path, serve: Serve) -> None:
    service = serve(folder)
    assert service.search([Request(query="snow")], soon()).result(30)
    assert service.close(5)
    other = serve(folder)
    with lane_held(other._fast):
        other.search([Request(query="snow", mode="lexical")], soon())
        assert not other.close(0.2)
