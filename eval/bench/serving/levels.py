"""Latency by load: arrivals at shares of what a server can do, those beyond it included."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from eval.bench.serving.arrivals import schedule
from eval.bench.serving.generator import Feed, Load, generate
from eval.bench.serving.messages import search_request
from eval.bench.serving.outcome import latencies, outcome, percentiles, together
from eval.bench.serving.process import Server
from eval.bench.serving.queries import UniqueQueries

SHARES = (0.5, 0.9, 2.0, 4.0)
# Connections that are there before the first request.
CONNECTIONS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long, how often and by which arrivals a load is put on a server."""

    arrivals: str
    seconds: float
    rounds: int
    seed: int


@dataclass(slots=True, kw_only=True)
class _Level:
    share: float
    rate: float
    loads: list[Load] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0


def levels(
    server: Server, supply: UniqueQueries, capacity: float, pace: Pace
) -> list[dict[str, Any]]:
    """Put 50, 90, 200 and 400% of a capacity in queries a second on a server, in turn.

    Returns:
        Of each share the rate, what became of the requests, p99 by round, and the server's memory
        and processor time.
    """
    all_levels = [_Level(share=share, rate=share * capacity) for share in SHARES]
    order = [*all_levels]
    for number in range(pace.rounds):
        for level in order:
            _load(server, supply, level, pace, pace.seed + number)
        order.reverse()
    return [_found(level, pace) for level in all_levels]


def search_feed(server: Server, supply: UniqueQueries, rate: float, pace: Pace, seed: int) -> Feed:
    """Make queries that arrive at a rate."""
    arrivals = schedule(pace.arrivals, rate, pace.seconds, seed)
    requests = [search_request(query, server.port) for query in supply.take(len(arrivals))]
    return Feed(requests=requests, arrivals=arrivals, connections=CONNECTIONS, seconds=pace.seconds)


def _load(server: Server, supply: UniqueQueries, level: _Level, pace: Pace, seed: int) -> None:
    feed = search_feed(server, supply, level.rate, pace, seed)
    before = server.cpu_seconds
    with server.watched() as memory:
        level.loads.append(generate(server.port, [feed]))
    level.cpu_seconds += server.cpu_seconds - before
    level.memory += memory


def _found(level: _Level, pace: Pace) -> dict[str, Any]:
    by_round = [load.streams[0] for load in level.loads]
    sent = together(by_round)
    spreads = [percentiles(latencies(each)) for each in by_round]
    return {
        "share": level.share,
        "offered_per_second": round(level.rate, 1),
        **outcome(sent, pace.seconds * pace.rounds),
        "p99_ms_by_round": [each and each["p99"] for each in spreads],
        "memory_mib": _growth(level.memory),
        "server_cpu_ms": round(1000 * level.cpu_seconds / max(len(sent.due), 1), 3),
        "generator_cpu_ms": round(median(load.cpu_ms for load in level.loads), 3),
    }


def _growth(samples: Sequence[float]) -> dict[str, float]:
    """Return the most memory in the first and in the second half of the samples, in MiB."""
    half = (len(samples) + 1) // 2
    first, second = max(samples[:half]), max(samples[half:] or samples)
    return {"first_half": round(first, 1), "second_half": round(second, 1)}
