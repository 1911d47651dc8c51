"""The service as its callers see it: answers, errors, queues, deadlines, and its end."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.creation import Settings
from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.filters import parse
from indexer.index import Index as StoredIndex
from indexer.runtime.rows import TokenRow
from search.engine import SearchEngine
from search.hits import Request, Results
from search.service import lanes
from search.service.errors import BusyError, LateError, StoppingError
from search.service.service import Service
from search.service.settings import ServiceSettings
from tests.search.service.holding import Serve, lane_held, models_held, soon, until

REQUESTS = [
    *(
        Request(query=query, top=5)
        for query in ("the supersonic ship", "red river", "bear", "地 水")
    ),
    *(Request(query=f"garden wall {n}", offset=n, top=3) for n in range(6)),
    Request(query="wind and water", mode="lexical"),
    Request(query="wind and water", mode="dense", passages=3),
    Request(query="wind and water", fusion="rrf", filter=parse("year >= 2000")),
    Request(query="a quiet king", weight=0.2, facets=("lang", "year"), count=True),
    Request(query="a lazy bear was quiet", collapse=True),
    Request(query="a lazy bear was quiet", highlight=False),
    Request(query="snow", rerank="late", rerank_depth=7),
    Request(query="snow on the mountain", explain=True),
    Request(query="   ", facets=("lang",)),
    Request(query="no document says zzz", mode="lexical"),
]
WRONG = [
    Request(query="snow", top=-1),
    Request(query="snow", filter=parse("nothing = 1")),
    Request(query="snow", rerank_depth=3),
]


@pytest.fixture(scope="module")
def expected(built: Path) -> list[Results | ClozeError]:
    """What the engine says to each request, one after the other."""
    with StoredIndex.open(built, threads=2) as index:
        engine = SearchEngine(index)
        answers = [engine.search_many([request])[0] for request in [*REQUESTS, *WRONG]]
        engine.close()
    assert [isinstance(each, ClozeError) for each in answers] == (
        [False] * len(REQUESTS) + [True] * len(WRONG)
    )
    return answers


def plain(answer: Results | ClozeError) -> object:
    """An answer without its times."""
    return str(answer) if isinstance(answer, ClozeError) else replace(answer, took_ms={})


def ids(answer: Results | ClozeError) -> list[str]:
    assert isinstance(answer, Results)
    return [hit.id for hit in answer.hits]


def asked(
    service: Service, query: str, *, rerank: str | None = None, explain: bool = False
) -> Results:
    request = Request(query=query, rerank=rerank, explain=explain)
    (answer,) = service.search([request], soon()).result(30)
    assert isinstance(answer, Results)
    return answer


def test_answers_are_the_engines_bit_for_bit_whatever_runs_beside_them(
    shared: Service, expected: list[Results | ClozeError]
) -> None:
    requests = [*REQUESTS, *WRONG]

    def client(number: int) -> list[object]:
        order = [(number * 5 + 7 * step) % len(requests) for step in range(len(requests))]
        found: dict[int, object] = {}
        for place in order:
            (answer,) = shared.search([requests[place]], soon()).result(30)
            found[place] = plain(answer)
        return [found[place] for place in range(len(requests))]

    with ThreadPoolExecutor(max_workers=8) as pool:
        for found in pool.map(client, range(8)):
            assert found == [plain(each) for each in expected]


def test_requests_that_come_together_have_their_answers_in_order(
    shared: Service, expected: list[Results | ClozeError]
) -> None:
    fast = [place for place, each in enumerate(REQUESTS) if not (each.rerank or each.explain)]
    with models_held(shared):
        futures = [
            shared.search([REQUESTS[place] for place in fast[start:]], soon()) for start in range(4)
        ]
    for start, future in enumerate(futures):
        found = [plain(each) for each in future.result(30)]
        assert found == [plain(expected[place]) for place in fast[start:]]
    assert shared.search([], soon()).result(10) == []


def test_what_waits_together_is_encoded_and_answered_together(folder: Path, serve: Serve) -> None:
    service = serve(folder, batch_queries=4)
    heard = Heard()
    service.observer = heard
    with models_held(service):
        futures = [service.search([Request(query=f"red {n}")], soon()) for n in range(6)]
    for future in futures:
        future.result(30)
    assert [size for kind, size, _ in heard.batches if kind == "query"] == [4, 2]
    assert all(tokens == 4 * size for _, size, tokens in heard.batches)  # [CLS] red n [SEP]
    assert [kind for kind, seconds in heard.waits if seconds >= 0] == ["search"] * 6
    assert {"lexical", "dense", "total"} <= set(heard.stages)


class Heard:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, int, int]] = []
        self.waits: list[tuple[str, float]] = []
        self.stages: list[str] = []

    def stage(self, name: str, ms: float) -> None:
        self.stages.append(name)

    def batch(self, kind: str, size: int, tokens: int) -> None:
        self.batches.append((kind, size, tokens))

    def wait(self, kind: str, seconds: float) -> None:
        self.waits.append((kind, seconds))


def test_queries_beyond_the_budget_of_tokens_go_in_parts(folder: Path, serve: Serve) -> None:
    service = serve(folder, batch_tokens=64)
    heard = Heard()
    service.observer = heard
    queries = ["snow " * 28, "rain", "wind " * 28, "sea", "sun"]  # 30, 3, 30, 3, 3 tokens
    with models_held(service):
        futures = [service.search([Request(query=query)], soon()) for query in queries]
    for future in futures:
        future.result(30)
    assert [(size, tokens) for _, size, tokens in heard.batches] == [(3, 63), (2, 6)]


def test_one_request_that_breaks_the_engine_fails_alone(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(folder)
    whole = SearchEngine.search_many

    def breaks(
        engine: SearchEngine,
        requests: Sequence[Request],
        *known: Any,  # noqa: ANN401
    ) -> list[Results | ClozeError]:
        if any(request.query == "boom" for request in requests):
            raise ValueError("boom")
        return whole(engine, requests, *known)

    monkeypatch.setattr(SearchEngine, "search_many", breaks)
    with models_held(service):
        futures = [service.search([Request(query=q)], soon()) for q in ("red", "boom", "blue")]
    assert ids(futures[0].result(30)[0])
    assert isinstance(futures[1].exception(30), ValueError)
    assert ids(futures[2].result(30)[0])
    assert service.ready


def test_a_query_that_breaks_the_encoder_fails_alone(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(folder)

    def breaks(encoder: Encoder, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        if any(len(row.ids) == 12 for row in rows):
            raise RuntimeError("no memory")
        return vectors(encoder, rows)

    vectors = Encoder.vectors
    monkeypatch.setattr(Encoder, "vectors", breaks)
    with models_held(service):
        futures = [service.search([Request(query=q)], soon()) for q in ("red", "red " * 10, "blue")]
    assert isinstance(futures[1].exception(30), RuntimeError)
    assert ids(futures[0].result(30)[0])
    assert ids(futures[2].result(30)[0])


def test_a_full_queue_is_told_and_a_cancelled_search_is_never_run(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(folder, queue=3)
    ran = Ran(monkeypatch)
    with models_held(service):
        futures = [service.search([Request(query=f"q{n}")], soon()) for n in range(3)]
        with pytest.raises(BusyError, match="3 searches") as refused:
            service.search([Request(query="q3")], soon())
        with pytest.raises(BusyError):
            service.check_room("searches")
        assert refused.value.seconds > 0
        assert futures[1].cancel()
        futures.append(service.search([Request(query="q4")], soon()))
    for number in (0, 2, 3):
        futures[number].result(30)
    assert sorted(ran.queries) == ["q0", "q2", "q4"]
    assert service.in_flight == {"searches": 0, "slow": 0, "texts": 0, "writes": 0}
    service.check_room("searches")


class Ran:
    """The queries that came to an engine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queries: list[str] = []
        whole = SearchEngine.search_many

        def noting(
            engine: SearchEngine,
            requests: Sequence[Request],
            *known: Any,  # noqa: ANN401
        ) -> list[Results | ClozeError]:
            self.queries += [request.query for request in requests]
            return whole(engine, requests, *known)

        monkeypatch.setattr(SearchEngine, "search_many", noting)


def test_a_search_whose_time_is_over_is_not_run(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(folder)
    ran = Ran(monkeypatch)
    with models_held(service):
        late = service.search([Request(query="late")], monotonic() - 1)
        good = service.search([Request(query="good")], soon())
    assert isinstance(late.exception(30), LateError)
    good.result(30)
    words = service.search([Request(query="words", mode="lexical")], monotonic() - 1)
    assert isinstance(words.exception(30), LateError)
    for future in (
        service.put([], monotonic() - 1), service.embed(["a"], monotonic() - 1),
        service.document("d1", monotonic() - 1),
    ):  # fmt: skip
        assert isinstance(future.exception(30), LateError)
    assert ran.queries == ["good"]


def test_slow_searches_have_half_of_the_places(folder: Path, serve: Serve) -> None:
    service = serve(folder, queue=4)
    with lane_held(service._slow):
        slow = [service.search([Request(query="a", explain=True)], soon()) for _ in range(2)]
        with pytest.raises(BusyError, match="2 reranked or explained"):
            service.search([Request(query="a", rerank="late")], soon())
        assert service.in_flight["searches"] == 2  # who was refused holds no place
        plain = [service.search([Request(query="a")], soon()) for _ in range(2)]
        for future in plain:
            future.result(30)
    for future in slow:
        future.result(30)


def test_four_times_as_many_writes_may_wait_as_they_share_commits(
    folder: Path, serve: Serve
) -> None:
    service = serve(folder, queue=2)
    with models_held(service):
        writes = [
            service.put([Document(id=f"new {n}", text="a ship")], soon()) for n in range(8)
        ]  # fmt: skip
        with pytest.raises(BusyError, match=r"8 writes are in flight, at most 8 may be"):
            service.delete(["new 0"], soon())
        searches = [service.search([Request(query="ship")], soon()) for _ in range(2)]
    assert [write.result(30).added for write in writes] == [1] * 8
    for search in searches:
        search.result(30)


def test_the_indexs_default_reranker_makes_a_search_slow(folder: Path, serve: Serve) -> None:
    from indexer.manifest import Defaults, read_manifest, write_manifest

    service = serve(folder)
    write_manifest(folder, replace(read_manifest(folder), defaults=Defaults(rerank="late")))
    assert asked(service, "red river").hits[0].stages.keys() == {"lexical", "dense", "fused"}
    with lane_held(service._slow):
        future = service.search([Request(query="red river")], soon())
        assert asked(service, "red river", rerank="none").hits
        assert not future.done()
    (answer,) = future.result(30)
    assert isinstance(answer, Results)
    assert answer.hits[0].stages["rerank"]


def test_what_another_process_writes_is_found_at_once(folder: Path, serve: Serve) -> None:
    service = serve(folder)
    before = asked(service, "purple elephant")
    with StoredIndex.open(folder) as other:
        other.add([Document(id="new", text="a purple elephant by the sea")])
        after = asked(service, "purple elephant")
        assert ids(after)[0] == "new"
        assert before.index_version != after.index_version
        assert service.document("new", soon()).result(30) is not None
        other.delete(["new", "d1", "d2"])
        other.compact()
    assert "new" not in ids(asked(service, "purple elephant"))
    assert service.document("d1", soon()).result(30) is None
    assert service.ready


@pytest.fixture
def another_model(folder: Path, other_model: Path) -> Callable[[], StoredIndex]:
    """Reindex with another model, of other prompts and pooling, and open the result."""
    from indexer.reindexing import Reindexing

    def reindex() -> StoredIndex:
        Reindexing(folder, Settings(model=str(other_model)), threads=2).run()
        return StoredIndex.open(folder, threads=2)

    return reindex


def test_reindexing_by_another_model_fails_no_search_and_no_vector_is_mixed(
    folder: Path, serve: Serve, another_model: Callable[[], StoredIndex]
) -> None:
    service = serve(folder)
    requests = [Request(query=f"the red river {n}", mode="dense", top=4) for n in range(5)]
    with lane_held(service._fast):  # encoded by the old model, answered by the new index
        futures = [service.search([request], soon()) for request in requests]
        until(lambda: len(service._fast.waiting._jobs) == len(requests))
        opened = another_model()
    with opened:
        engine = SearchEngine(opened)
        expected = [plain(each) for each in engine.search_many(requests)]
        assert [plain(future.result(30)[0]) for future in futures] == expected
        again = [service.search([request], soon()) for request in requests]
        assert [plain(future.result(30)[0]) for future in again] == expected
        slow = service.search([Request(query="red", rerank="late", explain=True)], soon())
        (answer,) = engine.search_many([Request(query="red", rerank="late", explain=True)])
        assert plain(slow.result(30)[0]) == plain(answer)
        written = service.put([Document(id="n", text="the red river")], soon()).result(30)
        assert written.added == 1
        made = service.embed(["the red river"], soon()).result(30)
        assert (made.vectors == opened.encoder.encode_documents(["the red river"])).all()
        engine.close()
    assert service._handles.served.seal == opened.manifest.encoder


def test_readers_fail_at_no_time_while_another_process_writes_compacts_and_reindexes(
    folder: Path, serve: Serve, another_model: Callable[[], StoredIndex]
) -> None:
    service = serve(folder)
    end = threading.Event()

    def read(number: int) -> int:
        done = 0
        while not end.is_set():
            assert asked(service, f"red river {number} {done}", explain=number == 2).hits
            done += 1
        return done

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read, number) for number in range(3)]
        with StoredIndex.open(folder, threads=2) as other:
            for number in range(5):
                other.add([Document(id=f"n{number}", text="a red river")])
                other.delete([f"d{number}"])
                other.compact()
        another_model().close()
        assert asked(service, "red river").hits
        end.set()
        assert all(reader.result(30) > 0 for reader in readers)


def test_an_index_of_words_alone_serves_searches_and_writes(tmp_path: Path, serve: Serve) -> None:
    with StoredIndex.open(tmp_path / "words", Settings(lexical_only=True)) as index:
        index.add([Document(id="a", text="a red ship")])
    service = serve(tmp_path / "words")
    assert ids(asked(service, "red")) == ["a"]
    service.put([Document(id="b", text="a red boat")], soon()).result(30)
    assert sorted(ids(asked(service, "red"))) == ["a", "b"]
    (answer,) = service.search([Request(query="red", mode="dense")], soon()).result(30)
    assert "--lexical-only" in str(answer)
    for future in (service.embed(["a"], soon()), service.rank("a", ["b"], soon())):
        with pytest.raises(ClozeError, match="cloze reindex"):
            future.result(30)
    assert service.describe(soon()).result(30).modes == ("lexical",)


def test_documents_are_read_whole(shared: Service, documents: list[Document]) -> None:
    for document in documents[:5]:
        found = shared.document(document.id, soon()).result(30)
        assert found is not None
        assert found.document == document
        assert found.version == shared.describe(soon()).result(30).version
    assert shared.document("d999", soon()).result(30) is None


def test_an_index_is_described(shared: Service, built: Path, tiny_model: Path) -> None:
    found = shared.describe(soon()).result(30)
    assert (found.name, found.documents, found.language) == ("index", 160, "english")
    assert found.passages > 160
    assert found.size_bytes == sum(p.stat().st_size for p in built.rglob("*") if p.is_file())
    fields = {field.name: (field.kinds, field.documents) for field in found.fields}
    assert fields.keys() == {"year", "lang"}
    assert fields["year"][0] == ("number",)
    assert found.modes == ("hybrid", "dense", "lexical")
    assert found.encoder is not None
    assert (found.encoder["name"], found.encoder["dimension"]) == (tiny_model.name, 64)
    assert (found.rerankers, found.compaction, found.faiss) == (("none",), "idle", "Flat")
    assert str(built.parent) not in str(found)
    assert found.version == asked(shared, "red").index_version


def test_what_is_no_index_is_told_at_the_start(tmp_path: Path, built: Path) -> None:
    service = Service(tmp_path, ServiceSettings())
    with pytest.raises(ClozeError, match="is not an index"):
        service.start()
    assert not service.ready
    assert not _threads(service)
    with pytest.raises(StoppingError, match="not started"):
        Service(built, ServiceSettings()).search([Request(query="a")], soon())
    other = Service(built, ServiceSettings(rerank="nothing/of-this-name"))
    with pytest.raises(ClozeError, match="nothing/of-this-name"):
        other.start()


def _threads(service: Service) -> list[str]:
    return [each._thread.name for each in service._life._workers if each._thread.is_alive()]


def test_closing_finishes_what_was_accepted_and_takes_nothing_new(
    folder: Path, serve: Serve
) -> None:
    service = serve(folder)
    with ThreadPoolExecutor() as pool:
        with models_held(service):
            futures: list[Future[Any]] = [
                service.search([Request(query="red")], soon()),
                service.search([Request(query="red", explain=True)], soon()),
                service.embed(["a", "b"], soon()),
                service.put([Document(id="last", text="the last one")], soon()),
            ]
            closing = pool.submit(service.close, 30)
            until(lambda: not service.ready)
            with pytest.raises(StoppingError):
                service.search([Request(query="red")], soon())
            with pytest.raises(StoppingError):
                service.compact()
            assert not closing.done()
        closing.result(30)
    for future in futures:
        assert future.exception(0) is None
    assert not _threads(service)
    with StoredIndex.open(folder) as index:
        assert index.store.live(["last"])


def test_what_is_not_finished_in_time_fails_at_the_end(folder: Path, serve: Serve) -> None:
    service = serve(folder)
    with models_held(service):
        waiting = service.search([Request(query="red")], soon())
        embedding = service.embed(["a"], soon())
        service.close(0.05)
        assert isinstance(waiting.exception(10), StoppingError)
        assert isinstance(embedding.exception(10), StoppingError)
    service.close(0)  # once more does nothing


class Unexpected(BaseException):
    """What nobody thought of."""


@pytest.fixture
def dying(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Service]:
    service = serve(folder)
    yield service
    assert not service.ready
    with pytest.raises(StoppingError, match="failed"):
        service.search([Request(query="a")], soon())
    service.close(10)
    assert not _threads(service)
    assert any("ended" in each.getMessage() for each in caplog.get_records("call"))


def _dies(*_: object, **__: object) -> None:
    raise Unexpected


def test_no_caller_hangs_when_the_fast_lane_dies(
    dying: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_found", _dies)
    with models_held(dying):
        futures: list[Future[Any]] = [
            dying.search([Request(query="a")], soon()), dying.embed(["a"], soon()),
            dying.search([Request(query="a", rerank="late")], soon()),
        ]  # fmt: skip
    assert isinstance(futures[0].exception(30), StoppingError)
    assert isinstance(futures[2].exception(30), StoppingError)
    futures[1].exception(30)  # done or not, it has ended


@pytest.mark.parametrize("name", ["_models", "_texts", "_writer", "_slow"])
def test_no_caller_hangs_when_another_thread_dies(
    dying: Service, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "_models":
        monkeypatch.setattr(dying._models, "_encode", _dies)
    elif name == "_texts":
        monkeypatch.setattr(dying._texts, "_begin", _dies)
    elif name == "_writer":
        monkeypatch.setattr(dying._writer, "_write", _dies)
    else:
        monkeypatch.setattr(dying._slow, "_search", _dies)
    with lane_held(dying._fast):
        waiting = dying.search([Request(query="a", mode="lexical")], soon())
        fatal: dict[str, Callable[[], Future[Any]]] = {
            "_models": lambda: dying.search([Request(query="a")], soon()),
            "_texts": lambda: dying.embed(["a"], soon()),
            "_writer": lambda: dying.put([Document(id="a", text="a")], soon()),
            "_slow": lambda: dying.search([Request(query="a", explain=True)], soon()),
        }
        assert isinstance(fatal[name]().exception(30), StoppingError)
        assert isinstance(waiting.exception(30), StoppingError)
