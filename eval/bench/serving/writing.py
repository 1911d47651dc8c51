"""Reads that go on while documents are written."""

import random
from collections.abc import Sequence
from statistics import median
from typing import Any

from eval.bench.serving.arrivals import constant
from eval.bench.serving.generator import Feed, generate
from eval.bench.serving.levels import CONNECTIONS, Pace, search_feed
from eval.bench.serving.messages import put_request
from eval.bench.serving.outcome import outcome, together
from eval.bench.serving.process import Server
from eval.bench.serving.queries import UniqueQueries
from eval.bench.variations import short_documents
from indexer.documents import Document
from search.index import Index

# Of so many documents of the index the paragraphs are taken.
_SOURCES = 500


def short_texts(index: Index, count: int) -> list[Document]:
    """Make so many documents of 8 to 60 words, from the texts of an index's own."""
    numbers = index.lexical.numbers().tolist()
    chosen = random.Random(0).sample(numbers, min(_SOURCES, len(numbers)))
    found = index.store.documents(chosen)
    documents, _ = short_documents([found[number] for number in chosen], count)
    return [Document(id=f"bench-{place}", text=each.text) for place, each in enumerate(documents)]


def reads_while_writing(
    server: Server,
    supply: UniqueQueries,
    documents: Sequence[Document],
    *,
    reads: float,
    writes: float,
    pace: Pace,
) -> dict[str, Any]:
    """Search at a rate while documents come one by one at another, each in a request of its own.

    Returns:
        What became of the reads and of the writes.
    """
    loads = []
    rest = iter(documents)
    for number in range(pace.rounds):
        arrivals = constant(writes, pace.seconds)
        puts = [put_request(next(rest), server.port) for _ in arrivals]
        feeds = [
            search_feed(server, supply, reads, pace, pace.seed + number),
            Feed(requests=puts, arrivals=arrivals, connections=CONNECTIONS, seconds=pace.seconds),
        ]
        loads.append(generate(server.port, feeds))
    seconds = pace.seconds * pace.rounds
    read, written = (together([load.streams[place] for load in loads]) for place in (0, 1))
    return {
        "reads": {"offered_per_second": round(reads, 1), **outcome(read, seconds)},
        "writes": {"offered_per_second": writes, **outcome(written, seconds)},
        "generator_cpu_ms": round(median(load.cpu_ms for load in loads), 3),
    }
