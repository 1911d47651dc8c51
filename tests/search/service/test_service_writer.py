"""Writes: which share a commit, what each is told, and what goes wrong alone."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.filters import parse
from indexer.index import Index
from indexer.lexical import Lexical
from search.hits import Request, Results
from search.service import writer
from search.service.service import Service
from search.service.writes import (
    Delete,
    DeleteMatching,
    Put,
    Write,
    Written,
    apply,
    expected,
    groups,
)
from tests.search.service.holding import Serve, soon, until


def document(id: str, text: str = "a red ship", **metadata: object) -> Document:
    return Document(id=id, text=text, metadata=metadata)


def put(*ids: str) -> Put:
    return Put(documents=[document(id) for id in ids], deadline=soon())


def delete(*ids: str) -> Delete:
    return Delete(ids=ids, deadline=soon())


def matching(condition: str) -> DeleteMatching:
    return DeleteMatching(condition=parse(condition), deadline=soon())


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """An index of words alone, with three documents."""
    with Index.open(tmp_path / "words", Settings(lexical_only=True)) as index:
        index.add([document("a", n=1), document("b", n=2), document("c", n=3)])
    return tmp_path / "words"


def found(service: Service, query: str) -> list[str]:
    (answer,) = service.search([Request(query=query, mode="lexical")], soon()).result(30)
    assert isinstance(answer, Results)
    return sorted(hit.id for hit in answer.hits)


def test_after_a_commit_that_failed_each_write_of_it_is_made_by_itself(
    words: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(words)
    begun, go, add = threading.Event(), threading.Event(), Lexical._add
    failures = [OSError("no space left")]

    def fails_once(self: Lexical, *options: Any) -> None:  # noqa: ANN401
        begun.set()
        assert go.wait(30)
        if service.in_flight["writes"] == 2 and failures:
            raise failures.pop()
        add(self, *options)

    monkeypatch.setattr(Lexical, "_add", fails_once)
    first = service.put([document("first")], soon())
    assert begun.wait(30)
    writes = [service.put([document(id)], soon()) for id in ("d", "e")]
    go.set()
    assert first.result(30).added == 1
    assert [write.result(30).added for write in writes] == [1, 1]
    assert found(service, "ship") == ["a", "b", "c", "d", "e", "first"]


def test_puts_go_together_until_an_id_comes_again_and_deletes_with_deletes() -> None:
    writes: list[Write] = [
        put("a", "b"), put("c"), put(), put("b"), put("d"),
        delete("a"), delete("a", "z"), matching("n = 1"), matching("n = 2"), put("a"),
    ]  # fmt: skip
    places = [[writes.index(each) for each in group] for group in groups(writes)]
    assert places == [[0, 1, 2], [3, 4], [5, 6], [7], [8], [9]]
    assert list(groups([])) == []


def test_what_each_write_will_do_is_foreseen(words: Path) -> None:
    with Index.open(words) as index:
        same, new = document("a", n=1), document("e")
        changed, retagged = document("b", "a blue ship", n=2), document("c", n=4)
        puts = [
            Put(documents=[same, new], deadline=0), Put(documents=[changed, retagged], deadline=0)
        ]  # fmt: skip
        assert expected(index.store, puts) == [
            Written(added=1, unchanged=1), Written(updated=2)
        ]  # fmt: skip
        assert expected(index.store, [delete("a", "x", "a"), delete("a", "b")]) == [
            Written(deleted=1), Written(deleted=1)
        ]  # fmt: skip


class Held:
    """The writer held at its next group; what groups it then writes is in `sizes`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.begun, self.end = threading.Event(), threading.Event()
        monkeypatch.setattr(writer, "apply", self._apply)

    def _apply(
        self, index: Index, group: Sequence[Write], published: Callable[[int], None]
    ) -> None:
        self.begun.set()
        assert self.end.wait(30)
        self.sizes.append(len(group))
        if any(isinstance(each, Put) and "boom" in each.ids for each in group):
            raise ValueError("boom")
        apply(index, group, published)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


def sequence(written: Written) -> int:
    return int(written.version.rpartition(":")[2])


def test_writes_that_wait_together_share_a_commit_and_each_hears_its_own_part(
    words: Path, serve: Serve, held: Held
) -> None:
    service = serve(words)
    first = service.put([document("first")], soon())
    assert held.begun.wait(10)
    futures = [
        service.put([document("a", n=1), document("e")], soon()),  # one is as it was
        service.put([document("b", "a blue ship")], soon()),
        service.put([document("f"), document("g")], soon()),
        service.delete(["c", "zzz"], soon()),
        service.delete(["c", "e"], soon()),
    ]
    held.end.set()
    start = sequence(first.result(30))
    answers = [future.result(30) for future in futures]
    counts = [(w.added, w.updated, w.unchanged, w.deleted) for w in answers]
    assert counts == [(1, 0, 1, 0), (0, 1, 0, 0), (2, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 1)]
    assert [sequence(each) - start for each in answers] == [1, 1, 1, 2, 2]
    assert held.sizes == [1, 3, 2]
    assert found(service, "ship") == ["a", "b", "f", "first", "g"]


def test_the_last_write_to_an_id_wins(words: Path, serve: Serve, held: Held) -> None:
    service = serve(words)
    futures: list[Future[Written]] = [service.put([document("first")], soon())]
    assert held.begun.wait(10)
    for n in range(6):
        futures.append(service.put([document("x", f"text {n}")], soon()))
    futures.append(service.delete(["x"], soon()))
    futures.append(service.put([document("x", "the last text")], soon()))
    held.end.set()
    answers = [future.result(30) for future in futures]
    assert [each.added for each in answers] == [1, 1, 0, 0, 0, 0, 0, 0, 1]
    assert [each.updated for each in answers] == [0, 0, 1, 1, 1, 1, 1, 0, 0]
    last = service.document("x", soon()).result(30)
    assert last is not None
    assert last.document.text == "the last text"


def test_a_write_that_fails_in_a_group_fails_alone(words: Path, serve: Serve, held: Held) -> None:
    service = serve(words)
    service.put([document("first")], soon())
    assert held.begun.wait(10)
    good = service.put([document("good"), document("a", n=1)], soon())
    bad = service.put([document("boom")], soon())
    fine = service.put([document("fine")], soon())
    held.end.set()
    assert isinstance(bad.exception(30), ValueError)
    assert good.result(30).added == good.result(30).unchanged == 1
    assert fine.result(30).added == 1
    assert found(service, "ship") == ["a", "b", "c", "fine", "first", "good"]


def test_documents_that_cannot_be_stored_are_refused_whole(words: Path, serve: Serve) -> None:
    service = serve(words)
    for documents, told in (
        ([document("x"), document("x")], "'x' comes twice"),
        ([document("x"), document("y", "half \ud800")], "'y' can't be stored"),
        ([document("x"), document("")], "needs an id"),
        ([document("x", n=float("nan"))], "'x' can't be stored"),
    ):
        with pytest.raises(ClozeError, match=told):
            service.put(documents, soon()).result(30)
    with pytest.raises(ClozeError, match="nothing"):
        service.delete_matching(parse("nothing = 1"), soon()).result(30)
    assert found(service, "ship") == ["a", "b", "c"]
    assert service.put([], soon()).result(30).added == 0


def test_a_filter_deletes_what_it_passes(words: Path, serve: Serve) -> None:
    service = serve(words)
    assert service.delete_matching(parse("n >= 2"), soon()).result(30).deleted == 2
    assert found(service, "ship") == ["a"]
    assert service.delete_matching(parse("n >= 2"), soon()).result(30).deleted == 0


def test_a_cancelled_write_is_not_made(words: Path, serve: Serve, held: Held) -> None:
    service = serve(words)
    first = service.put([document("first")], soon())
    assert held.begun.wait(10)
    left = service.put([document("left")], soon())
    kept = service.put([document("kept")], soon())
    assert left.cancel()
    assert not first.cancel()  # it has begun
    held.end.set()
    kept.result(30)
    assert found(service, "ship") == ["a", "b", "c", "first", "kept"]


def test_a_write_is_answered_before_the_compaction_that_it_makes_due(
    words: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(words)
    compacting, end = threading.Event(), threading.Event()

    def compact(index: Index, **_: object) -> None:
        compacting.set()
        assert end.wait(30)
        raise OSError("no room")

    monkeypatch.setattr(Index, "compact", compact)
    written = service.delete(["a", "b"], soon())
    assert compacting.wait(10)
    assert written.result(30).deleted == 2
    assert found(service, "ship") == ["c"]
    end.set()  # what it comes to is no matter of the write's
    assert service.put([document("d")], soon()).result(30).added == 1
    assert service.ready


def test_a_compaction_is_asked_for_once_and_tells_how_it_ended(
    words: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, held: Held
) -> None:
    service = serve(words)
    service.put([document("first")], soon())
    assert held.begun.wait(10)
    assert service.compact()
    assert not service.compact()
    assert service.describe(soon()).result(30).compaction == "running"
    held.end.set()
    until(lambda: service.describe(soon()).result(30).compaction == "idle")

    def compact(index: Index, **_: object) -> None:
        raise ClozeError(f"{index.folder} is full")

    monkeypatch.setattr(Index, "compact", compact)
    assert service.compact()
    until(lambda: service.describe(soon()).result(30).compaction == "failed: words is full")
    assert service.put([document("d")], soon()).result(30).added == 1


def test_the_first_documents_of_an_index_are_found_by_their_vectors(
    tmp_path: Path, tiny_model: Path, serve: Serve
) -> None:
    Index.open(tmp_path / "new", Settings(model=str(tiny_model), passage_tokens=32)).close()
    service = serve(tmp_path / "new")
    texts = {"a": "a red ship on the sea", "b": "the king in winter"}
    written = [service.put([document(id, text)], soon()) for id, text in texts.items()]
    assert sum(each.result(30).added for each in written) == 2
    request = Request(query="a red ship on the sea", mode="dense", top=1)
    (answer,) = service.search([request], soon()).result(30)
    assert isinstance(answer, Results)
    assert [hit.id for hit in answer.hits] == ["a"]
    assert service._handles.served.encoder is not None
    with Index.open(tmp_path / "new") as index:
        vectors = index.encoder.encode_documents(list(texts.values()))
    made = service.embed(list(texts.values()), soon()).result(30)
    assert (made.vectors == vectors).all()


def test_a_write_beside_a_reindexing_is_in_the_new_data(
    folder: Path, other_model: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.reindexing import Reindexing

    service = serve(folder)
    whole = Index.add
    times = []

    def add(index: Index, documents: Any, **options: Any) -> Any:  # noqa: ANN401
        times.append(index.manifest.data)
        if len(times) == 1:  # the other process is done between our look and our write
            monkeypatch.setattr(Index, "add", whole)
            Reindexing(folder, Settings(model=str(other_model)), threads=2).run()
            monkeypatch.setattr(Index, "add", add)
            raise ClozeError("another process has put other data in place")
        return whole(index, documents, **options)

    monkeypatch.setattr(Index, "add", add)
    assert service.put([document("new", "a purple ship")], soon()).result(30).added == 1
    assert len(set(times)) == 2
    assert "new" in found(service, "purple")
    with Index.open(folder) as index:
        assert index.store.live(["new"])


def test_documents_of_all_kinds_can_be_written_at_once(words: Path, serve: Serve) -> None:
    service = serve(words, queue=64)
    futures = [service.put([document(f"d{n}", n=n)], soon()) for n in range(40)]
    futures += [service.delete([f"d{n}"], soon()) for n in range(0, 40, 2)]
    assert all(f.result(30).added + f.result(30).deleted == 1 for f in futures)
    (answer,) = service.search(
        [Request(query="ship", top=100, mode="lexical")], soon()
    ).result(30)  # fmt: skip
    assert isinstance(answer, Results)
    assert {hit.id for hit in answer.hits} == {"a", "b", "c", *(f"d{n}" for n in range(1, 40, 2))}
