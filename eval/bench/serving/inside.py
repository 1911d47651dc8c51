"""The same engine without a service: one query at a time, and in batches."""

from collections.abc import Callable
from contextlib import closing
from time import perf_counter
from typing import Any

from eval.bench.figures import spread
from eval.bench.serving.connection import Connection
from eval.bench.serving.messages import search_request
from eval.bench.serving.queries import UniqueQueries
from eval.bench.turns import in_turn
from indexer.errors import ClozeError
from search.engine import SearchEngine
from search.hits import Request

BATCH = 32
_WARM_UP = 20
_OK = 200


def service_cost(
    engine: SearchEngine, port: int, supply: UniqueQueries, queries: int
) -> dict[str, Any]:
    """Ask each query of the engine in this process and of the server, in turn, one at a time.

    Returns:
        Percentiles of both in milliseconds, and how much more the server takes at the median.

    Raises:
        ClozeError: the server did not answer one.
    """
    with closing(Connection(port)) as connection:

        def serve(query: str) -> None:
            status = connection.ask(search_request(query, port).encode())
            if status != _OK:
                raise ClozeError(f"the server answered {status} to one query, expected {_OK}")

        systems: dict[str, Callable[[str], object]] = {
            "in_process": lambda query: engine.search(Request(query=query)),
            "server": serve,
        }
        in_turn(systems, supply.take(_WARM_UP))
        times = in_turn(systems, supply.take(queries))
    found = {name: spread(taken) for name, taken in times.items()}
    more = found["server"]["p50"] - found["in_process"]["p50"]
    return {"queries": queries, "ms": found, "cost_ms": round(more, 3)}


def batch_rate(engine: SearchEngine, supply: UniqueQueries, seconds: float) -> float:
    """Answer batches of 32 queries in this process for so long; return queries a second.

    Raises:
        ClozeError: a query has no answer.
    """
    done = 0
    taken = 0.0
    while taken < seconds:
        requests = [Request(query=query) for query in supply.take(BATCH)]
        begin = perf_counter()
        answers = engine.search_many(requests)
        taken += perf_counter() - begin
        done += len(answers)
        for answer in answers:
            if isinstance(answer, ClozeError):
                raise answer
    return done / taken
