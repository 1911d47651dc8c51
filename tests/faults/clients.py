"""Clients of a server that may die at any instant: they write and delete, and note what it says."""

import http.client
import json
import random
from threading import Thread
from typing import Any

from tests.conftest import WORDS
from tests.faults.promises import Promises

_IDS = 15
_SECONDS = 30.0
_DELETED = 0.3
_SEVERAL = 0.2
_SEARCHED = 0.2


class Client:
    """One user of a server: documents of its own, written one request after another."""

    def __init__(self, name: str, seed: int) -> None:
        self.promises = Promises()
        self.writes = 0
        self.acknowledged = 0
        self._name = name
        self._chance = random.Random(seed)
        self._thread: Thread | None = None
        self._failure: BaseException | None = None

    def start(self, port: int, most: int) -> None:
        """Write to a server, so often at most, until it is gone."""
        self._thread = Thread(target=self._work, args=(port, most), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait until it has ended, and raise what went wrong."""
        assert self._thread is not None
        self._thread.join(2 * _SECONDS)
        assert not self._thread.is_alive(), f"{self._name} still waits for an answer"
        if self._failure is not None:
            raise self._failure

    def _work(self, port: int, most: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        try:
            for _ in range(most):
                self._write(connection)
        except (ConnectionError, http.client.HTTPException):
            return  # the server was killed; what it did with the last request is open
        except BaseException as error:
            self._failure = error
        finally:
            connection.close()

    def _write(self, connection: http.client.HTTPConnection) -> None:
        self.writes += 1
        if self._chance.random() < _DELETED:
            self._delete(connection, self._id())
        else:
            count = 3 if self._chance.random() < _SEVERAL else 1
            self._put(connection, {self._id() for _ in range(count)})
        self.acknowledged += 1

    def _id(self) -> str:
        return f"{self._name}-{self._chance.randrange(_IDS)}"

    def _put(self, connection: http.client.HTTPConnection, ids: set[str]) -> None:
        # A word that no other text has tells which write a search finds.
        words = " ".join(self._chance.choices(WORDS, k=self._chance.randint(3, 20)))
        texts = {id: f"{self._name}w{self.writes} {words}" for id in sorted(ids)}
        for id, text in texts.items():
            self.promises.asked(id, text)
        documents = [{"id": id, "text": text} for id, text in texts.items()]
        status, answer = ask(connection, "PUT", "/v1/documents", {"documents": documents})
        assert status == 200, (status, answer)
        for id, text in texts.items():
            self.promises.acknowledged(id, text)
        if self._chance.random() < _SEARCHED:
            query = {"query": f"{self._name}w{self.writes}", "mode": "lexical"}
            status, answer = ask(connection, "POST", "/v1/search", query)
            assert status == 200, (status, answer)
            assert {hit["id"] for hit in answer["hits"]} == ids, (query, answer)

    def _delete(self, connection: http.client.HTTPConnection, id: str) -> None:
        may_be_gone = self.promises.may_be_gone(id)
        self.promises.asked(id, None)
        status, answer = ask(connection, "DELETE", f"/v1/documents/{id}")
        assert status == 200 or (status == 404 and may_be_gone), (id, status, answer)
        self.promises.acknowledged(id, None)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: object = None
) -> tuple[int, Any]:
    """Ask a server; return the status and the answer.

    Raises:
        ConnectionError, HTTPException: there was none.
    """
    headers = {"Content-Type": "application/json"} if body is not None else {}
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())
