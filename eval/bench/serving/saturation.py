"""What a server does at most, against its engine in batches and against one query at a time."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from eval.bench.serving.generator import Feed, Load, generate
from eval.bench.serving.inside import batch_rate
from eval.bench.serving.messages import search_request
from eval.bench.serving.outcome import outcome, throughput, together
from eval.bench.serving.process import Server
from eval.bench.serving.queries import UniqueQueries
from indexer.errors import ClozeError
from search.engine import SearchEngine

# Requests are made for servers so much faster than their engine, so that none runs out of them.
_ROOM = 2.0
# Seconds of each system's work before it is timed, at most.
_WARM_UP = 2.0


class Saturated:
    """A closed loop on a server: all that it lets in at once, each connection asking again."""

    def __init__(self, server: Server, supply: UniqueQueries, connections: int) -> None:
        """Prepare the loop."""
        self._server = server
        self._supply = supply
        self._connections = connections
        self._loads: list[Load] = []
        self._cpu_seconds = 0.0

    def load(self, most: float, seconds: float) -> Load:
        """Saturate the server for so long, with queries for `most` a second."""
        queries = self._supply.take(int(most * seconds) + self._connections)
        requests = [search_request(query, self._server.port) for query in queries]
        feed = Feed(
            requests=requests, arrivals=None, connections=self._connections, seconds=seconds
        )
        return generate(self._server.port, [feed])

    def rate(self, most: float, seconds: float) -> float:
        """Do the same, keep what was found, and return queries a second."""
        before = self._server.cpu_seconds
        load = self.load(most, seconds)
        self._cpu_seconds += self._server.cpu_seconds - before
        self._loads.append(load)
        return throughput(load.streams[0])

    def found(self, seconds: float) -> dict[str, Any]:
        """Return what became of all requests that count, and what one took of the processor."""
        sent = together([load.streams[0] for load in self._loads])
        return {
            **outcome(sent, seconds * len(self._loads)),
            "server_cpu_ms": round(1000 * self._cpu_seconds / max(len(sent.due), 1), 3),
            "generator_cpu_ms": round(median(load.cpu_ms for load in self._loads), 3),
        }


def saturation(
    engine: SearchEngine,
    servers: Mapping[str, Server],
    supply: UniqueQueries,
    *,
    connections: int,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """Time the engine in batches and servers at saturation, in turn, on queries of their own.

    Returns:
        `rates`, queries a second, of the engine as `batches` and of each server; what became of
        the servers' requests.
    """
    warm_up = min(seconds, _WARM_UP)
    most = _ROOM * batch_rate(engine, supply, warm_up)
    loops = {name: Saturated(server, supply, connections) for name, server in servers.items()}
    for loop in loops.values():
        loop.load(most, warm_up)
    systems: dict[str, Callable[[], float]] = {
        "batches": partial(batch_rate, engine, supply, seconds)
    }
    for name, loop in loops.items():
        systems[name] = partial(loop.rate, most, seconds)
    rates = rates_in_turn(systems, rounds)
    return {
        "connections": connections,
        "rates": {name: [round(rate, 1) for rate in each] for name, each in rates.items()},
        "per_second": {name: round(median(each), 1) for name, each in rates.items()},
        "servers": {name: loop.found(seconds) for name, loop in loops.items()},
    }


def rates_in_turn(
    systems: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
    """Measure each system's rate so often, in turn, every other round backwards.

    Raises:
        ClozeError: one did nothing.
    """
    rates: dict[str, list[float]] = {name: [] for name in systems}
    order = list(systems)
    for _ in range(rounds):
        for name in order:
            rate = systems[name]()
            if not rate:
                raise ClozeError(f"{name}: 0 queries answered, expected some; give more --seconds")
            rates[name].append(rate)
        order.reverse()
    return rates


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return ours over theirs, the median of the rounds."""
    return round(median(our / their for our, their in zip(ours, theirs, strict=True)), 3)
