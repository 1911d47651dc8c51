"""`cloze bench`: how fast things are, as ratios side by side."""

from typing import Annotated

import typer

from eval.commands.bench_options import Corpus, Documents, Model
from eval.commands.bench_runtime import bench_encode, bench_query, bench_rerank
from eval.commands.bench_serve import bench_serve
from eval.commands.extras import check_installed
from indexer.commands.console import IndexFolder, Threads, emit, notice

bench = typer.Typer(
    help="Measure speed, as ratios side by side in one run.",
    no_args_is_help=True,
    add_completion=False,
)
bench.command("encode")(bench_encode)
bench.command("query")(bench_query)
bench.command("rerank")(bench_rerank)
bench.command("serve")(bench_serve)

Plot = Annotated[str | None, typer.Option(metavar="FILE.png", help="Draw the result as a picture")]


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


@bench.command("dense")
def bench_dense(
    index: IndexFolder,
    queries: Annotated[int, typer.Option(min=1, help="How many sentences of passages")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is timed")] = 3,
    queries_file: Annotated[
        str | None, typer.Option(help="Recall on the queries of a file too (at most --queries)")
    ] = None,
    plot: Plot = None,
    threads: Threads = None,
) -> None:
    """Hold the vectors' search against FAISS's flat scan: time, recall, filters, memory."""
    from indexer.threads import budget

    budget(threads)
    _check_plot(plot)
    from eval.bench.dense import bench_dense

    result = bench_dense(index, queries, rounds, queries_file, threads, notice)
    emit(result)
    if plot:
        from eval.bench.charts import recall_chart

        recall_chart(result, plot)


@bench.command("growth")
def bench_growth(
    index: IndexFolder,
    sizes: Annotated[
        str, typer.Option(help="Documents of each index, with commas")
    ] = "1000,10000,100000,1000000",
    queries: Annotated[int, typer.Option(min=1, help="How many queries to time")] = 200,
    keep: Annotated[
        str | None, typer.Option(help="Keep the indexes in this folder, and use them again")
    ] = None,
    plot: Plot = None,
    threads: Threads = None,
) -> None:
    """Time hybrid queries against encoding them, on the first N documents of an index."""
    from indexer.errors import ClozeError
    from indexer.threads import budget

    budget(threads)
    _check_plot(plot)
    asked = [size.strip() for size in sizes.split(",")]
    if not all(size.isdecimal() and int(size) for size in asked):
        raise ClozeError(f"--sizes is {sizes!r}; give numbers with commas, as in 1000,10000")
    from eval.bench.growth import bench_growth

    result = bench_growth(index, [int(size) for size in asked], queries, keep, threads, notice)
    emit(result)
    if plot:
        from eval.bench.charts import growth_chart

        growth_chart(result, plot)


def _check_plot(plot: str | None) -> None:
    if plot:
        check_installed()
        from eval.bench.charts import check_plot

        check_plot(plot)
