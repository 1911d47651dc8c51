"""Indexing's time against that of encoding the same passages alone."""

import tempfile
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from eval.bench.figures import machine
from indexer.corpus import Corpus
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.passages import cut
from search.index import Index


def bench_index(
    corpus: str, documents: int, rounds: int, model: str | None, threads: int | None
) -> dict[str, Any]:
    """Encode the passages of a corpus, then index it from its file, in turn, with warm models.

    Encoding is tokenising and the forward pass of the same passages; indexing is everything from
    reading the file to the sealed index.
    """
    chosen = list(islice(Corpus([corpus]), documents))
    if len(chosen) < documents:
        raise ClozeError(f"{corpus} has {len(chosen)} documents, asked for {documents}")
    encode: list[float] = []
    indexing: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(model=model)
        with Index.open(Path(place) / "first", settings, threads=threads) as index:
            encoder = index.encoder
            texts = _passages(index, chosen)
            encoder.encode_documents(texts[:64])
            for number in range(rounds):
                begin = perf_counter()
                encoder.encode_documents(texts)
                encode.append(perf_counter() - begin)
                with Index.open(Path(place) / str(number), settings, threads=threads) as fresh:
                    fresh.__dict__["encoder"] = encoder
                    begin = perf_counter()
                    fresh.add(islice(Corpus([corpus]), documents))
                    indexing.append(perf_counter() - begin)
            count = index.threads
    return {
        "bench": "index",
        "documents": documents,
        "passages": len(texts),
        "encode_s": [round(seconds, 3) for seconds in encode],
        "index_s": [round(seconds, 3) for seconds in indexing],
        "ratio": round(median(b / a for a, b in zip(encode, indexing, strict=True)), 3),
        "documents_per_second": round(documents / median(indexing), 1),
        "machine": machine(count),
    }


def _passages(index: Index, documents: list[Document]) -> list[str]:
    rule = index.manifest.rule
    titles = index.encoder.token_offsets([document.title for document in documents])
    texts = index.encoder.token_offsets([document.text for document in documents])
    return [
        passage.text
        for document, title, text in zip(documents, titles, texts, strict=True)
        for passage in cut(document, title, text, rule, index.encoder.added_tokens).passages
    ]
