"""A server killed while clients write to it: every acknowledged write and deletion is there.

`python -m tests.faults.served --writes 1000` does the same for longer.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.bench.serving.process import Server, served
from indexer.creation import Settings
from indexer.documents import Document
from indexer.index import Index
from tests.faults.clients import Client
from tests.faults.promises import Promises, merged
from tests.faults.served import Served

_WRITES = 12


def test_promises_by_hand() -> None:
    promises = Promises()
    assert promises.may_be_gone("a")
    promises.asked("a", "one")
    assert promises.broken({}) == promises.broken({"a": "one"}) == []
    promises.acknowledged("a", "one")
    assert not promises.may_be_gone("a")
    assert promises.broken({}) == ["a is None, promised ['one']"]
    promises.asked("a", "two")
    promises.asked("a", None)
    assert promises.may_be_gone("a")
    for found in ({}, {"a": "one"}, {"a": "two"}):
        assert promises.broken(found) == []
    assert len(promises.broken({"a": "three"})) == 1
    assert promises.settle({"a": "two"}) == 1 == promises.settle({"a": "two"}) + 1
    assert len(promises.broken({"a": "one"})) == 1
    promises.acknowledged("a", None)
    assert promises.broken({"a": "two"}) == ["a is 'two', promised ['None']"]
    assert promises.broken({"b": "x"}) == ["b was never written"]


def test_promises_of_clients_together() -> None:
    one, two = Promises(), Promises()
    one.acknowledged("a", "x")
    two.asked("b", "y")
    both = merged([one, two])
    assert both.known() == ["a", "b"]
    assert both.broken({"a": "x"}) == [] and len(both.broken({"b": "y"})) == 1


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one document that no client wrote."""
    folder = tmp_path_factory.mktemp("served") / "index"
    with Index.open(folder, Settings(model=str(tiny_model)), threads=1) as index:
        index.add([Document(id="other", text="the old river")])
    server = Server(served(folder, threads=1))
    yield server
    assert server.stop() == 0


def test_a_client_sees_a_document_that_is_lost(server: Server) -> None:
    """A document that was promised and is not there must end a client with an error."""
    client = Client("c0", 3)
    for number in range(15):
        client.promises.acknowledged(f"c0-{number}", "promised")
    client.start(server.port, 15)  # among so many writes are deletions of what is not there
    with pytest.raises(AssertionError, match="404"):
        client.finish()


def test_a_client_writes_until_it_has_done_enough(server: Server) -> None:
    client = Client("c1", 0)
    client.start(server.port, 10)
    client.finish()
    assert client.writes == client.acknowledged == 10
    assert all(len(texts) == 1 for texts in client.promises.allowed.values())


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    tiny_model: Path, tmp_path: Path
) -> None:
    told = Served(tmp_path / "index", tiny_model, seed=1).run(_WRITES)
    assert told.kills >= 3 and told.writes >= _WRITES
    assert 0 < told.acknowledged <= told.writes
    sys.stdout.write(f"\n{told.line()}\n")
