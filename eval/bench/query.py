"""One query's way from text to vector against sentence-transformers, in turn."""

from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

from eval.bench.encoding import read_precisions
from eval.bench.figures import machine, spread
from eval.bench.peers import (
    SENTENCE_TRANSFORMERS,
    load_sentence_transformer,
    read_peers,
    versions,
)
from eval.bench.turns import in_turn, speeds_over
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.models import DEFAULT_MODEL, find_model
from search.queries import read_queries

# Each has 12 tokens of BERT's English vocabulary, special ones included.
QUERIES = (
    "how does vitamin d change the density of human bones",
    "which trees keep their green leaves all through the winter",
    "when did the first railway cross the high snowy mountains",
    "why does warm air always rise above the cold water",
    "what makes the dough of bread rise well before baking",
    "who wrote the very first dictionary of the english language",
    "how do birds find their way home across the ocean",
    "where does all the water of a desert river go",
)
_WARM_UP = 8


def bench_query(
    queries: str | None, rounds: int, *, model: str | None, precisions: str | None, threads: int
) -> dict[str, Any]:
    """Encode one query after another, of a file or of eight built in, each by every system in turn.

    Raises:
        ClozeError: the file has no query, or there is no such model or precision.
    """
    chosen = read_precisions(precisions)
    texts = [text for _, text in read_queries(queries)] if queries else list(QUERIES)
    if not texts:
        raise ClozeError(f"{queries} has 0 queries, expected one or more; add a line")
    peers, notices = read_peers("st")
    checkpoint = find_model(model or DEFAULT_MODEL)
    encoders = {
        f"cloze-{each}": Encoder(checkpoint, precision=each, threads=threads) for each in chosen
    }
    systems: dict[str, Callable[[str], object]] = {
        name: _one_by(encoder) for name, encoder in encoders.items()
    }
    if peers:
        theirs = load_sentence_transformer(checkpoint, threads)
        systems[SENTENCE_TRANSFORMERS] = lambda text: theirs.encode(checkpoint.query_prompt + text)
    in_turn(systems, islice(cycle(texts), max(_WARM_UP, len(texts))))
    times = in_turn(systems, islice(cycle(texts), rounds))
    tokenizer = next(iter(encoders.values())).tokenizer
    lengths = [len(each.ids) for each in tokenizer.encode_batch(texts)]
    return {
        "bench": "query",
        "model": checkpoint.name,
        "queries": len(texts),
        "tokens": round(sum(lengths) / len(lengths), 1),
        "rounds": rounds,
        "systems": {
            name: {"ms": spread(taken), "speed_over": speeds_over(peers, times, name)}
            for name, taken in times.items()
        },
        "peers": versions(peers),
        "notices": notices,
        "machine": machine(threads),
    }


def _one_by(encoder: Encoder) -> Callable[[str], object]:
    return lambda text: encoder.encode_queries([text])[0]
