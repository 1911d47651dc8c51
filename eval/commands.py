"""`cloze collection` and `cloze bench`: what to evaluate on, and how fast things are."""

from typing import Annotated

import typer

from indexer.commands.console import Threads, emit

collection = typer.Typer(
    help="Make and look at collections to evaluate on.", no_args_is_help=True, add_completion=False
)


@collection.callback()
def _collection() -> None:
    """Keep the sub-command's name in the command line."""


@collection.command("from-pairs")
def from_pairs(
    pairs: Annotated[str, typer.Argument(help="JSON lines of query and positive, also .gz")],
    folder: Annotated[str, typer.Argument(help="The BEIR folder to write")],
    documents: Annotated[int, typer.Option(help="Keep at most so many documents")] = 1_000_000,
    queries: Annotated[int, typer.Option(help="Keep at most so many queries")] = 1_000,
) -> None:
    """Turn question and passage pairs into a retrieval collection, the same on every machine."""
    from pathlib import Path

    from eval.development import Sample, build_collection

    emit(build_collection(Path(pairs), Path(folder), Sample(documents=documents, queries=queries)))


bench = typer.Typer(
    help="Measure speed, as ratios side by side in one run.",
    no_args_is_help=True,
    add_completion=False,
)

Corpus = Annotated[str, typer.Argument(metavar="CORPUS", help="What `cloze index` can read")]
Documents = Annotated[int, typer.Option(help="How many documents of the corpus")]
Model = Annotated[
    str | None, typer.Option(help="Checkpoint folder or hub id [default: all-MiniLM-L6-v2]")
]


@bench.command("query")
def bench_query(
    corpus: Corpus,
    documents: Documents = 100_000,
    queries: Annotated[int, typer.Option(help="How many queries to time")] = 500,
    model: Model = None,
    threads: Threads = None,
) -> None:
    """Time hybrid queries against encoding them, in turn."""
    from indexer.threads import budget

    budget(threads)
    from eval.bench.query import bench_query

    emit(bench_query(corpus, documents, queries, model, threads))


@bench.command("index")
def bench_index(
    corpus: Corpus,
    documents: Documents = 2_000,
    rounds: Annotated[int, typer.Option(help="How often each is timed")] = 3,
    model: Model = None,
    threads: Threads = None,
) -> None:
    """Time indexing against encoding the same passages, in turn."""
    from indexer.threads import budget

    budget(threads)
    from eval.bench.indexing import bench_index

    emit(bench_index(corpus, documents, rounds, model, threads))
