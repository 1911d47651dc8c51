"""A hybrid query's time against that of encoding it, one after the other on the same queries."""

import random
import tempfile
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.figures import machine, spread
from indexer.corpus import Corpus
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from search.index import Index

_QUERY_WORDS = 9
_WARM_UP = 20


def bench_query(
    corpus: str, documents: int, queries: int, model: str | None, threads: int | None
) -> dict[str, Any]:
    """Index documents of a corpus and time queries of nine words drawn from them.

    The documents' vectors are random, since a flat scan costs the same whatever they are and
    encoding would take most of the run; query vectors are the model's own. Each query is
    encoded alone, then searched hybrid, in turn.
    """
    chosen = list(islice(Corpus([corpus]), documents))
    if len(chosen) < documents:
        raise ClozeError(f"{corpus} has {len(chosen)} documents, asked for {documents}")
    with (
        tempfile.TemporaryDirectory() as folder,
        Index.open(folder, Settings(model=model), threads=threads) as index,
    ):
        real = index.encoder.encode_documents
        index.encoder.encode_documents = _random_vectors(index)  # type: ignore[method-assign]
        index.add(chosen)
        index.encoder.encode_documents = real  # type: ignore[method-assign]
        encode, hybrid, stages = _time(index, _drawn(chosen, queries + _WARM_UP))
        return {
            "bench": "query",
            "documents": documents,
            "passages": index.dense.count,
            "encode_ms": spread(encode),
            "hybrid_ms": spread(hybrid),
            "stages_ms": {name: spread(seconds) for name, seconds in stages.items()},
            "ratio_p50": round(float(np.median(hybrid) / np.median(encode)), 3),
            "ratio_p95": round(float(np.percentile(hybrid, 95) / np.percentile(encode, 95)), 3),
            "machine": machine(index.threads),
        }


def _random_vectors(index: Index) -> Any:  # noqa: ANN401 - stands in for a bound method
    rng = np.random.default_rng(0)

    def encode(texts: list[str], **_: object) -> NDArray[np.float32]:
        shape = (len(texts), index.encoder.checkpoint.dimension)
        vectors = rng.standard_normal(shape, dtype=np.float32)
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    return encode


def _drawn(documents: list[Document], count: int) -> list[str]:
    rng = random.Random(0)
    queries = []
    for document in rng.choices(documents, k=count):
        words = document.text.split()
        start = rng.randrange(max(1, len(words) - _QUERY_WORDS))
        queries.append(" ".join(words[start : start + _QUERY_WORDS]))
    return queries


def _time(
    index: Index, queries: list[str]
) -> tuple[list[float], list[float], dict[str, list[float]]]:
    encode: list[float] = []
    hybrid: list[float] = []
    stages: dict[str, list[float]] = {}
    for place, query in enumerate(queries):
        begin = perf_counter()
        index.encoder.encode_queries([query])
        middle = perf_counter()
        results = index.search(query)
        end = perf_counter()
        if place >= _WARM_UP:
            encode.append(middle - begin)
            hybrid.append(end - middle)
            for stage, took in results.took_ms.items():
                stages.setdefault(stage, []).append(took / 1000)
    return encode, hybrid, stages
