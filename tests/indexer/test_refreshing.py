"""A handle that an error kept from moving to a new commit moves with the next call."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer import dense as dense_module
from indexer import opened as opened_module
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import DamagedIndexError
from indexer.index import Index
from indexer.stored_vectors import read_rows
from indexer.structures import open_structures


class Failing:
    """What it stands for, but the first calls raise an error."""

    def __init__(self, real: Callable[..., object], error: Exception, times: int = 1) -> None:
        self._real = real
        self._error = error
        self.left = times

    def __call__(self, *given: object) -> object:
        if self.left:
            self.left -= 1
            raise self._error
        return self._real(*given)


@pytest.fixture
def settings(tiny_model: Path) -> Settings:
    return Settings(model=str(tiny_model), passage_tokens=32, passage_overlap=8)


@pytest.fixture
def one(tmp_path: Path, settings: Settings) -> Iterator[Index]:
    """An index with a document that is called as it is, and its vectors loaded."""
    with Index.open(tmp_path / "one", settings) as index:
        index.add([Document(id="one", text="a red ship")])
        assert index.dense.count == 1
        yield index


def put_in_place(tmp_path: Path, settings: Settings) -> None:
    """Put another index where the first one is, with two documents."""
    with Index.open(tmp_path / "two", settings) as index:
        index.add([Document(id="two", text="a blue ship"), Document(id="three", text="a boat")])
    (tmp_path / "one").rename(tmp_path / "old")
    (tmp_path / "two").rename(tmp_path / "one")


def read(index: Index) -> tuple[set[str], int, int]:
    with index.reading():
        return set(index.store.live_ids()), index.lexical.count, index.dense.count


def test_vectors_that_could_not_be_read_are_there_the_next_time(
    one: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(one.folder) as writer:
        writer.add([Document(id="two", text="a blue ship")])
    failing = Failing(read_rows, OSError(errno.EIO, "disk"))
    monkeypatch.setattr(dense_module, "read_rows", failing)
    with pytest.raises(OSError, match="disk"):
        one.refresh()
    assert failing.left == 0
    assert read(one) == ({"one", "two"}, 2, 2)


def test_vectors_that_failed_before_anything_was_read_catch_up_the_next_time(
    one: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(one.folder) as writer:
        writer.delete(["one"])
        writer.add([Document(id="two", text="a blue ship"), Document(id="three", text="a boat")])
    failing = Failing(one.dense.catch_up, OSError(errno.EIO, "disk"), times=2)
    monkeypatch.setattr(one.dense, "catch_up", failing)
    for _ in range(2):
        with pytest.raises(OSError, match="disk"):
            one.refresh()
    assert read(one) == ({"two", "three"}, 2, 2)


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "files"), DamagedIndexError("torn")])
def test_a_handle_keeps_its_data_until_the_new_ones_are_open(
    one: Index,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    put_in_place(tmp_path, settings)
    before = (one.version, one.manifest, one.store, one.dense)
    failing = Failing(open_structures, error)
    monkeypatch.setattr(opened_module, "open_structures", failing)
    with pytest.raises(type(error)):
        one.refresh()
    assert (one.version, one.manifest, one.store, one.dense) == before
    assert list(one.store.live_ids()) == ["one"]  # it is open
    assert (one.lexical.count, one.dense.count) == (1, 1)
    assert read(one) == ({"two", "three"}, 2, 2)
    assert one.add([Document(id="four", text="a bear")]).added == 1
    assert read(one) == ({"two", "three", "four"}, 3, 3)


def test_data_that_are_not_there_yet_are_followed_when_they_are(
    one: Index, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(tmp_path, settings)
    store = tmp_path / "one" / "store.sqlite"
    store.rename(tmp_path / "aside")
    assert read(one) == ({"one"}, 1, 1)
    (tmp_path / "aside").rename(store)
    gone = FileNotFoundError("postings")
    monkeypatch.setattr(opened_module, "open_structures", Failing(open_structures, gone))
    assert read(one) == ({"one"}, 1, 1)
    assert read(one) == ({"two", "three"}, 2, 2)
