"""A server of a few lines that the load generator is held against: it does what a test tells it."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from threading import Lock, Thread
from typing import TypeAlias

# From a request's body to what is sent back; empty closes the connection.
Answer: TypeAlias = Callable[[str], bytes]


def answer(status: int, body: bytes = b"{}") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Stub:
    """A thread a connection, on a port of this machine; it counts requests and connections."""

    def __init__(self, reply: Answer) -> None:
        self.bodies: list[str] = []
        self.connections = 0
        self._reply = reply
        self._lock = Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._socket.getsockname()[1])
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file, suppress(ConnectionError):
            while head := list(takewhile(bytes.strip, file)):
                lengths = [line.split(b":")[1] for line in head if b"-Length:" in line]
                body = file.read(int(lengths[0]) if lengths else 0).decode()
                with self._lock:
                    self.bodies.append(body)
                reply = self._reply(body)
                if not reply:
                    return
                connection.sendall(reply)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # ends the wait for another connection
        self._socket.close()


@contextmanager
def stub(reply: Answer) -> Iterator[Stub]:
    server = Stub(reply)
    try:
        yield server
    finally:
        server.close()
