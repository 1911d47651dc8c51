"""`cloze bench`: how fast things are, as ratios side by side."""

from typing import Annotated

import typer

from eval.commands.extras import check_installed
from indexer.commands.console import IndexFolder, Threads, emit

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


@bench.command("evaluation")
def bench_evaluation(
    queries: Annotated[int, typer.Option(help="How many queries")] = 1_000,
    hits: Annotated[int, typer.Option(help="How many hits of each")] = 1_000,
    permutations: Annotated[int, typer.Option(help="Of the randomisation test")] = 100_000,
    rounds: Annotated[int, typer.Option(help="How often each is timed")] = 3,
    threads: Threads = None,
) -> None:
    """Time scoring and testing against ir-measures and scipy, in turn."""
    from indexer.threads import budget

    count = budget(threads)
    check_installed()
    from eval.bench.evaluation import bench_evaluation

    emit(bench_evaluation(queries, hits, permutations, rounds, count))


@bench.command("lexical")
def bench_lexical(
    corpus: Corpus,
    documents: Documents = 100_000,
    queries: Annotated[int, typer.Option(help="How many queries to time")] = 200,
    index: Annotated[
        str | None, typer.Option(help="Keep the index in this folder, and use it again")
    ] = None,
    threads: Threads = None,
) -> None:
    """Time BM25 against bm25s with numba and rank-bm25, in turn; and filtered queries."""
    from indexer.threads import budget

    budget(threads)
    from eval.bench.lexical import bench_lexical

    emit(bench_lexical(corpus, documents, queries, threads, index))


@bench.command("upsert")
def bench_upsert(
    index: IndexFolder,
    changes: Annotated[int, typer.Option(min=1, help="How many documents are changed")] = 50,
    threads: Threads = None,
) -> None:
    """Time opening a copy of a lexical-only index, and changes of one document until seen."""
    from indexer.threads import budget

    budget(threads)
    from eval.bench.upsert import bench_upsert

    emit(bench_upsert(index, changes, threads))
