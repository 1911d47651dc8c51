"""Any order of writes, crashes, compactions and reads against a plain dictionary.

A crash is an exception at a point of the code from where on the index does nothing more; then the
objects are dropped as they are. Before every such point, and at every step of progress, a second
reader looks: it must see one whole commit.
"""

import functools
import gc
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import indexer.batching
import indexer.encoder
import indexer.index
from indexer import generations, vector_file
from indexer.creation import Settings
from indexer.dense import Dense
from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.index import Index
from indexer.lexical import Lexical, Rebuilt
from indexer.models import find_model
from indexer.progress import Step
from indexer.records import PASSAGE_BITS
from indexer.store import Store
from indexer.verification import damage
from tests.faults.contents import assert_same_scores, dense_hits, lexical_hits, passages, stored
from tests.faults.scenario import QUERIES, State

_BATCH = 3
# Where a process can die: a function that is about to run, or one that has just run.
_BEFORE: tuple[tuple[Any, str], ...] = (
    (Lexical, "catch_up"),
    (Rebuilt, "_build"),
    (Rebuilt, "publish"),
    (generations, "publish"),
    (generations, "prune"),
    (Dense, "save"),
    (Store, "purge"),
    (Store, "shrink"),
    (Store, "fold"),
)
_AFTER: tuple[tuple[Any, str], ...] = ((Store, "write"), (Store, "delete"), (Lexical, "_add"))

_TEXTS = st.one_of(
    st.just(""),
    st.lists(st.sampled_from("fox river old stone house moon".split()), max_size=5).map(" ".join),
    st.text("搜索引擎向量。 ", max_size=8),
    st.just("the old stone house by the river. " * 12),
)
_IDS = st.one_of(
    *[st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3)] * 4, st.just([*"abcdefgh"])
)
_DOCUMENTS = st.builds(
    Document,
    id=st.sampled_from("abcdefgh"),
    text=_TEXTS,
    title=st.sampled_from(("", "", "moon", "fox house")),
    metadata=st.dictionaries(st.sampled_from("xy"), st.integers(0, 3), max_size=1),
)


class Crash(BaseException):
    """The end of a process, in so far as no code of the index runs after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What a write meets: a crash after so many points, and somebody who looks on."""

    crash: int | None
    look: str


_WEATHERS = st.builds(
    Weather,
    crash=st.sampled_from((*[None] * 15, *range(25))),
    look=st.sampled_from(("nobody", "the reader", "a new reader", "a reader all along")),
)


@dataclass(slots=True)
class Points:
    """What happens at the points of the code where a process can die."""

    crash: int | None = None
    dead: bool = False
    look: Callable[[], None] = field(default=lambda: None)

    def pass_by(self) -> None:
        if not self.dead:
            look, self.look = self.look, lambda: None  # what looks passes points as well
            look()
            self.look = look
        if self.crash is not None:
            self.dead = self.crash == 0
            self.crash = max(0, self.crash - 1)
        if self.dead:
            raise Crash

    def over(self) -> None:
        self.crash, self.dead, self.look = None, False, lambda: None


POINTS = Points()
_WRITTEN = vector_file.written


def _guarded(function: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def guarded(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        if before:
            POINTS.pass_by()
        found = function(*arguments, **options)
        if not before:
            POINTS.pass_by()
        return found

    return guarded


@contextmanager
def _guarded_file(*contents: Any) -> Iterator[Callable[[], Path]]:  # noqa: ANN401
    """Write a file of vectors with a point before it is put in its place, and one after."""
    with _WRITTEN(*contents) as publish:
        yield _guarded(_guarded(publish, before=True), before=False)


class Histories(RuleBasedStateMachine):
    """One folder, one writer at a time, a reader, and a dictionary that says what is right."""

    model: str
    vectors: dict[str, str]

    @initialize()
    def start(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.folder = self.home / "index"
        # What is stored at each sequence number; those of a write under way are announced.
        self.states: list[State] = [{}]
        # The sequence number that every reader must see at least: of the last write that is over.
        self.floor = 0
        self.index = Index.open(self.folder, Settings(model=self.model))
        self.reader: Index | None = None
        documents = [Document(id=id, text=f"fox {id} river") for id in "abcdefgh"]
        self.add(documents, False, Weather(crash=None, look="nobody"))

    @rule(
        documents=st.lists(_DOCUMENTS, max_size=8),
        sync=st.sampled_from((False, False, True)),
        weather=_WEATHERS,
    )
    def add(self, documents: list[Document], sync: bool, weather: Weather) -> None:
        first: State = {}
        for document in documents:
            first.setdefault(document.id, document)
        planned = list(self._added(list(first.values())))
        sync = sync and bool(documents)  # a sync with nothing is refused
        if sync and (planned or [self.states[-1]])[-1].keys() - first.keys():
            planned.append(dict(first))
        left_out: list[Document] = []
        self._write(
            lambda: self.index.add(
                documents, sync=sync, duplicate=left_out.append, progress=_looking
            ),
            planned,
            weather,
        )

    def _added(self, documents: list[Document]) -> Iterator[State]:
        state = self.states[-1]
        for start in range(0, len(documents), _BATCH):
            after = state | {each.id: each for each in documents[start : start + _BATCH]}
            if after != state:
                yield after
            state = after

    @rule(ids=_IDS, weather=_WEATHERS)
    def delete(self, ids: list[str], weather: Weather) -> None:
        rest = {id: each for id, each in self.states[-1].items() if id not in ids}
        planned = [rest] if rest != self.states[-1] else []
        self._write(lambda: self.index.delete(ids, progress=_looking), planned, weather)

    @rule(weather=_WEATHERS)
    def compact(self, weather: Weather) -> None:
        self._write(lambda: self.index.compact(progress=_looking), [], weather)

    @rule(what=st.sampled_from(("close and open", "new reader", "look")))
    def rest(self, what: str) -> None:
        if what == "close and open":
            self.index.close()
            self._reopen()
        elif what == "new reader":
            self._open_reader()
        else:
            self._look("the reader")

    def _write(self, write: Callable[[], object], planned: list[State], weather: Weather) -> None:
        """Do it, and then know what is stored: all of it, or what was committed at the crash."""
        before = len(self.states)
        self.states += planned
        POINTS.crash = weather.crash
        POINTS.look = functools.partial(self._look, weather.look)
        crashed = False
        try:
            with self._looking_on(weather.look):
                write()
        except Crash:
            crashed = True
        finally:
            POINTS.over()
        if crashed:
            self._reopen()
            planned = planned[: self.index.store.sequence + 1 - before]
        del self.states[before + len(planned) :]
        self.floor = len(self.states) - 1
        assert self.index.store.sequence == self.floor

    @contextmanager
    def _looking_on(self, look: str) -> Iterator[None]:
        """Let a new reader keep one commit while all this happens, its vectors not yet read."""
        if look != "a reader all along":
            yield
            return
        self._open_reader()
        assert self.reader
        with self.reader.reading():
            sequence = self.reader.sequence
            yield
            assert self.reader.sequence == sequence
            self._assert_commit(self.reader)

    def _reopen(self) -> None:
        del self.index
        gc.collect()  # what a dead process would have let go
        self.index = Index.open(self.folder)

    def _open_reader(self) -> None:
        if self.reader:
            self.reader.close()
        self.reader = Index.open(self.folder)

    def _look(self, how: str) -> None:
        if how == "a new reader":
            with Index.open(self.folder) as reader:
                self._assert_one_commit(reader)
        elif how == "the reader" and self.reader:
            self._assert_one_commit(self.reader)

    def _assert_one_commit(self, reader: Index) -> None:
        with reader.reading():
            self._assert_commit(reader)

    def _assert_commit(self, reader: Index) -> None:
        numbers = reader.store.numbers(reader.sequence)
        found = reader.store.documents(numbers.tolist())
        assert {each.id: each for each in found.values()} == self.states[reader.sequence]
        # Postings of nothing cover nothing: an empty commit is seen as the one at the beginning.
        emptied = reader.sequence == 0 and {} in self.states[self.floor :]
        assert reader.sequence >= self.floor or emptied
        assert np.array_equal(reader.lexical.numbers(), numbers)
        rows, vectors = reader.dense.rows()
        expected = {
            passage: vector
            for passage, vector in reader.store.vectors(-1)
            if passage >> PASSAGE_BITS in found
        }
        assert rows.tolist() == sorted(expected)
        assert [row.tobytes() for row in vectors] == [expected[row] for row in rows.tolist()]

    @invariant()
    def everything_is_there(self) -> None:
        if not hasattr(self, "index"):
            return
        state = self.states[-1]
        assert stored(self.index) == state
        assert self.index.lexical.count == len(state)
        for id, rows in passages(self.index).items():
            document = state[id]
            assert bool(rows) == bool((document.title + document.text).strip())
            for start, end, vector in rows:
                text = f"{document.title} {document.text[start:end]}".strip()
                assert vector == self._encoded(text)
        assert damage(self.index) == []
        self._assert_one_commit(self.index)

    def _encoded(self, text: str) -> str:
        if text not in self.vectors:
            vector = self.index.encoder.encode_documents([text])[0]
            self.vectors[text] = vector.astype(np.float16).tobytes().hex()
        return self.vectors[text]

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.index.compact()
            with Index.open(self.home / "fresh", Settings(model=self.model)) as fresh:
                fresh.add(self.states[-1].values())
                for query in QUERIES:
                    assert dense_hits(self.index, query) == dense_hits(fresh, query)
                    assert_same_scores(lexical_hits(self.index, query), lexical_hits(fresh, query))
            self.index.close()
            if self.reader:
                self.reader.close()
            shutil.rmtree(self.home)


def _looking(step: Step) -> None:
    POINTS.pass_by()


def test_any_history_is_the_fresh_build_of_its_last_state(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for before, points in ((True, _BEFORE), (False, _AFTER)):
        for owner, name in points:
            guarded = _guarded(getattr(owner, name), before=before)
            monkeypatch.setattr(owner, name, guarded)
    monkeypatch.setattr(vector_file, "written", _guarded_file)
    # One encoder for all: compiling it takes longer than a history.
    encoder = Encoder(find_model(str(tiny_model)))
    monkeypatch.setattr(indexer.encoder, "Encoder", lambda *_, **__: encoder)
    monkeypatch.setattr(indexer.batching, "_BATCH_DOCUMENTS", _BATCH)
    monkeypatch.setattr(indexer.index, "_COMMIT_SECONDS", 0.0)
    # So that dead documents and old files of vectors stay for a while.
    monkeypatch.setattr(indexer.index, "_DEAD_SHARE", 0.6)
    monkeypatch.setattr(indexer.index, "_REWRITE_SHARE", 0.2)
    monkeypatch.setattr(Histories, "model", str(tiny_model), raising=False)
    monkeypatch.setattr(Histories, "vectors", {}, raising=False)
    run_state_machine_as_test(Histories, settings=settings(max_examples=25, stateful_step_count=10))


def test_a_reader_whose_vectors_are_from_a_later_commit_moves_on(
    tiny_model: Path, tmp_path: Path
) -> None:
    """The file that it reads first has rows it may not show yet, and must show at its next look."""
    with Index.open(tmp_path / "index", Settings(model=str(tiny_model))) as writer:
        writer.add([Document(id="a", text="fox"), Document(id="b", text="river")])
        with Index.open(tmp_path / "index") as reader:
            with reader.reading():
                writer.add([Document(id="c", text="stone"), Document(id="d", text="moon")])
                assert dense_hits(reader, "fox").keys() == {"a", "b"}
            with reader.reading():
                assert dense_hits(reader, "fox").keys() == {"a", "b", "c", "d"}
