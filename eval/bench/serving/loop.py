"""One loop that sends requests when they are due and notes when they were answered."""

import select
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from eval.bench.serving.connection import Connection

# What stands for a status where no answer came: the connection broke, or the time was over.
BROKEN, UNANSWERED = 0, -1
_NEVER = float("inf")
# The loop looks at its limit at least so often, in seconds.
_LONGEST_WAIT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Requests of one kind, and when each is sent, whatever became of those before.

    `arrivals` are ascending seconds from the start, one for each request: an open loop, which has
    `connections` at the start, and up to `most` where all are busy when a request is due; beyond
    that it waits, and its waiting counts. None is a closed loop: each of the connections sends its
    next request when its last one is answered, until `seconds` are over.
    """

    requests: Sequence[bytes]
    arrivals: Sequence[float] | None
    connections: int
    most: int = 900
    seconds: float = _NEVER


@dataclass(slots=True, kw_only=True)
class Sent:
    """What became of a stream's requests, in the order in which they were due.

    Seconds from the start: `due`, `sent`, and `done` when the last byte of the answer was there,
    infinite where it never was; `status` is that of HTTP, BROKEN or UNANSWERED.
    """

    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)


class _Feed:
    """A stream at work: its idle connections, and which request is next."""

    def __init__(self, stream: Stream, port: int, epoll: select.epoll) -> None:
        self.stream = stream
        self.log = Sent()
        self.flying: dict[int, Connection] = {}
        self._most = stream.connections if stream.arrivals is None else stream.most
        self._port = port
        self._epoll = epoll
        self._open: dict[int, Connection] = {}
        self._idle = [self._connect() for _ in range(stream.connections)]

    def _connect(self) -> Connection:
        connection = Connection(self._port)
        self._open[connection.number] = connection
        self._epoll.register(connection.number, select.EPOLLIN)
        return connection

    @property
    def blocked(self) -> bool:
        """Tell whether the next request has to wait for a connection."""
        return not self._idle and len(self._open) >= self._most

    def next_due(self, now: float) -> float | None:
        """Return when the next request is due, None where there is none any more."""
        place = len(self.log.due)
        if place >= len(self.stream.requests):
            return None
        if self.stream.arrivals is None:
            return now if now < self.stream.seconds else None
        return self.stream.arrivals[place]

    def send_due(self, begin: float) -> None:
        """Send all that is due, as far as there are connections."""
        while not self.blocked:
            now = perf_counter() - begin
            due = self.next_due(now)
            if due is None or due > now:
                return
            self._send(self._idle.pop() if self._idle else self._connect(), due, begin)

    def _send(self, connection: Connection, due: float, begin: float) -> None:
        log = self.log
        connection.place = len(log.due)
        self.flying[connection.number] = connection
        log.due.append(due)
        log.done.append(_NEVER)
        log.status.append(UNANSWERED)
        sent = connection.send(self.stream.requests[connection.place])
        log.sent.append(perf_counter() - begin)
        if not sent:
            self._drop(connection, begin)

    def receive(self, number: int, begin: float) -> bool:
        """Take what came on a connection; return False where it is not one of this stream's."""
        connection = self._open.get(number)
        if connection is None:
            return False
        status = connection.receive()
        if status is None:
            self._drop(connection, begin)
        elif status:
            self._note(connection, status, begin)
            self._idle.append(connection)
        return True

    def _drop(self, connection: Connection, begin: float) -> None:
        """Give up a connection that the server closed; what was on its way is broken."""
        del self._open[connection.number]
        if connection.number in self.flying:
            self._note(connection, BROKEN, begin)
        else:
            self._idle.remove(connection)
        connection.close()

    def _note(self, connection: Connection, status: int, begin: float) -> None:
        self.log.done[connection.place] = perf_counter() - begin
        self.log.status[connection.place] = status
        del self.flying[connection.number]

    def close(self) -> None:
        """Close what is open, and count what was due and never sent as unanswered."""
        for connection in self._open.values():
            connection.close()
        for due in (self.stream.arrivals or [])[len(self.log.due) :]:
            self.log.due.append(due)
            self.log.sent.append(_NEVER)
            self.log.done.append(_NEVER)
            self.log.status.append(UNANSWERED)


def send(port: int, streams: Sequence[Stream], limit: float) -> list[Sent]:
    """Send streams of requests side by side to this machine; return what became of each.

    It ends when all are answered, and about `limit` seconds after the start at the latest.

    Raises:
        OSError: nobody listens at the port.
    """
    with select.epoll() as epoll:
        feeds = [_Feed(stream, port, epoll) for stream in streams]
        begin = perf_counter()
        while (now := perf_counter() - begin) < limit:
            for feed in feeds:
                feed.send_due(begin)
            if not any(feed.flying or feed.next_due(now) is not None for feed in feeds):
                break
            _wait(epoll, feeds, begin)
            for number, _ in epoll.poll(0):
                any(feed.receive(number, begin) for feed in feeds)
        for feed in feeds:
            feed.close()
    return [feed.log for feed in feeds]


def _wait(epoll: select.epoll, feeds: Sequence[_Feed], begin: float) -> None:
    """Wait for an answer, or until the next request is due."""
    now = perf_counter() - begin
    dues = [due for feed in feeds if not feed.blocked and (due := feed.next_due(now)) is not None]
    seconds = min([due - now for due in dues] + [_LONGEST_WAIT])
    if seconds > 0:
        # Not by the epoll's own clock, which knows whole milliseconds only.
        select.select([epoll.fileno()], [], [], seconds)
