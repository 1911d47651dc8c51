"""`cloze bench serve`: a service's cost, capacity and latency under load, beside its engine."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from eval.bench.figures import machine
from eval.bench.serving.goals import goals
from eval.bench.serving.inside import service_cost
from eval.bench.serving.levels import Pace, levels
from eval.bench.serving.process import Server, served, served_unbatched
from eval.bench.serving.queries import UniqueQueries
from eval.bench.serving.saturation import saturation
from eval.bench.serving.writing import reads_while_writing, short_texts
from search.engine import SearchEngine
from search.index import Index
from search.queries import read_queries
from search.service.settings import ServiceSettings

# Reads go on at this share of the capacity while documents are written.
_READING = 0.5


def bench_serve(
    folder: str,
    queries_file: str,
    pace: Pace,
    *,
    queries: int,
    writes: float,
    threads: int | None,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Serve an index on this machine alone, and ask it queries that are all different.

    One client's cost over the engine in this process, on so many queries; what the server does at
    most, beside the engine in batches and a server without micro-batching; latency at 50, 90, 200
    and 400% of that; reads at 50% while so many documents a second are written, into a copy.

    Raises:
        ClozeError: the index or the queries can't be used, or a server does not start.
    """
    supply = UniqueQueries(
        [text for _, text in read_queries(queries_file)], pace.seed, queries_file
    )
    with ExitStack() as stack:
        place = tempfile.TemporaryDirectory(dir=Path(folder).absolute().parent)
        copy = Path(stack.enter_context(place)) / "index"
        tell("a copy of the index, for what is written")
        shutil.copytree(folder, copy)
        server = _started(stack, served(copy, threads))
        with ExitStack() as inner:
            index = inner.enter_context(Index.open(folder, threads=threads))
            engine = inner.enter_context(closing(SearchEngine(index)))
            documents = short_texts(index, int(writes * pace.seconds + 1) * pace.rounds)
            used = machine(index.threads)
            tell(f"one client: {queries:,} queries, in turn with the engine in this process")
            cost = service_cost(engine, server.port, supply, queries)
            tell("saturation: the engine in batches, the server, the server without batches")
            unbatched = _started(inner, served_unbatched(Path(folder), threads))
            most = saturation(
                engine, {"server": server, "unbatched": unbatched}, supply,
                connections=ServiceSettings().queue, rounds=pace.rounds, seconds=pace.seconds,
            )  # fmt: skip
        capacity = most["per_second"]["server"]
        tell(f"loads of {capacity:g} queries a second, {pace.arrivals}")
        by_load = levels(server, supply, capacity, pace)
        tell(f"reads at {_READING:.0%}, and {writes:g} documents a second")
        writing = reads_while_writing(
            server, supply, documents, reads=_READING * capacity, writes=writes, pace=pace
        )
    return {
        "bench": "serve",
        "queries": queries_file,
        "arrivals": pace.arrivals,
        "seconds": pace.seconds,
        "rounds": pace.rounds,
        "seed": pace.seed,
        "one_client": cost,
        "saturation": most,
        "capacity_per_second": capacity,
        "levels": by_load,
        "writing": writing,
        "goals": goals(cost, most, by_load, writing),
        "machine": used,
    }


def _started(stack: ExitStack, command: Sequence[str]) -> Server:
    """Start a server that ends with the stack: asked to stop, or killed where work failed."""
    server = Server(command)
    stack.push(lambda kind, *_: server.kill() if kind else _stop(server))
    return server


def _stop(server: Server) -> None:
    server.stop()
