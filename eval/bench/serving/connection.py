"""A persistent connection of HTTP/1.1 with one request on its way at most."""

import re
import socket

HOST = "127.0.0.1"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_PIECE = 1 << 16  # bytes


class Connection:
    """A connection to a port of this machine; `place` is of the request that it was used for."""

    __slots__ = ("_buffer", "_expected", "_socket", "number", "place")

    def __init__(self, port: int) -> None:
        """Connect.

        Raises:
            OSError: nobody listens there.
        """
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = self._socket.fileno()
        self.place = 0
        self._buffer = b""
        self._expected = 0  # bytes of the whole answer, where its head is there

    def send(self, request: bytes) -> bool:
        """Send a request; return False where the server has closed the connection.

        It never waits: nothing else is on its way, and a request is shorter than a buffer.
        """
        try:
            self._socket.sendall(request)
        except OSError:
            return False
        return True

    def receive(self) -> int | None:
        """Take what has come; return the status when the answer is whole, 0 before, None at an end.

        It waits where nothing has come.
        """
        try:
            piece = self._socket.recv(_PIECE)
        except OSError:
            return None
        if not piece:
            return None
        self._buffer = self._buffer + piece if self._buffer else piece
        if not self._expected:
            end = self._buffer.find(_HEAD_END)
            if end < 0:
                return 0
            found = _LENGTH.search(self._buffer, 0, end + 2)
            self._expected = end + len(_HEAD_END) + (int(found[1]) if found else 0)
        if len(self._buffer) < self._expected:
            return 0
        status = int(self._buffer[9:12])
        self._buffer, self._expected = b"", 0
        return status

    def ask(self, request: bytes) -> int:
        """Send a request and wait for its answer's status.

        Raises:
            ConnectionError: the server closed the connection.
        """
        status: int | None = 0 if self.send(request) else None
        while status == 0:
            status = self.receive()
        if status is None:
            raise ConnectionError("the server closed the connection")
        return status

    def close(self) -> None:
        """Close it."""
        self._socket.close()
