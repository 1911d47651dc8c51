"""`cloze bench encode`, `query` and `rerank`: the models' speed, as ratios side by side."""

from typing import Annotated

import typer

from eval.commands.bench_options import Corpus, Documents, Model
from eval.commands.extras import check_installed
from indexer.commands.console import Threads, emit
from indexer.errors import ClozeError

Precisions = Annotated[
    str | None,
    typer.Option(metavar="P,P", help="int8, bf16, fp32, auto [default: auto's choice and bf16]"),
]
Rounds = Annotated[int, typer.Option(min=1, help="How often each is timed")]


def bench_encode(
    corpus: Corpus,
    documents: Documents = 2_000,
    rounds: Rounds = 3,
    model: Model = None,
    precision: Precisions = None,
    peers: Annotated[
        str, typer.Option(help="st (sentence-transformers), onnx (onnxruntime in int8), or none")
    ] = "st,onnx",
    threads: Threads = None,
) -> None:
    """Time encoding against sentence-transformers and onnxruntime, and the processor's peak."""
    from indexer.threads import budget

    count = budget(threads)
    from eval.bench.encoding import bench_encode

    emit(
        bench_encode(
            corpus, documents, rounds, model=model, precisions=precision, peers=peers, threads=count
        )
    )


def bench_query(
    queries: Annotated[
        str | None, typer.Option(help="A queries file [default: eight questions of ours]")
    ] = None,
    rounds: Rounds = 200,
    model: Model = None,
    precision: Precisions = None,
    threads: Threads = None,
) -> None:
    """Time one query from text to vector against sentence-transformers, in turn."""
    from indexer.threads import budget

    count = budget(threads)
    from eval.bench.query import bench_query

    emit(bench_query(queries, rounds, model=model, precisions=precision, threads=count))


def bench_rerank(
    corpus: Corpus,
    pairs: Annotated[int, typer.Option(min=1, help="How many passages for the query")] = 50,
    tokens: Annotated[int, typer.Option(min=16, help="Of a pair, about")] = 200,
    rounds: Rounds = 10,
    model: Annotated[
        str | None,
        typer.Option(help="Cross-encoder [default: all-MiniLM-L6-v2 with a random head]"),
    ] = None,
    precision: Precisions = None,
    index: Annotated[
        str | None, typer.Option(help="Time whole searches in this index too, by stage")
    ] = None,
    query_file: Annotated[str | None, typer.Option(help="The queries of these searches")] = None,
    threads: Threads = None,
) -> None:
    """Time a cross-encoder against sentence-transformers' CrossEncoder, in turn."""
    from indexer.threads import budget

    count = budget(threads)
    check_installed()
    if (index is None) != (query_file is None):
        given, other = ("--index", "--query-file") if index else ("--query-file", "--index")
        raise ClozeError(f"{given} is given, {other} is not; give both or neither")
    from eval.bench.reranking import bench_rerank

    emit(
        bench_rerank(
            corpus, pairs, tokens, rounds, model=model, precisions=precision,
            search=(index, query_file) if index and query_file else None, threads=count,
        )
    )  # fmt: skip
