"""`cloze bench serve`: a service under load on this machine, against goals."""

from typing import Annotated

import typer

from eval.commands.extras import check_installed
from indexer.commands.console import IndexFolder, Threads, emit, notice
from indexer.errors import ClozeError


def bench_serve(
    index: IndexFolder,
    queries: Annotated[
        str, typer.Option(metavar="FILE", help="Real queries, whose words are mixed into new ones")
    ],
    seconds: Annotated[
        float, typer.Option(min=1, max=120, help="How long each load is put on, in each round")
    ] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each is measured")] = 3,
    clients: Annotated[
        int, typer.Option(min=1, max=10_000, help="Queries of one client, one after the other")
    ] = 300,
    writes: Annotated[
        float, typer.Option(min=1, max=1_000, help="Short documents a second while it is read")
    ] = 50.0,
    arrivals: Annotated[
        str, typer.Option(help="poisson, as independent users come, or constant")
    ] = "poisson",
    seed: Annotated[int, typer.Option(help="Of arrivals and queries")] = 0,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE.png", help="Draw latency by load as a picture")
    ] = None,
    threads: Threads = None,
) -> None:
    """Serve an index on loopback and load it: cost, capacity, latency to 400%, beside its engine.

    Arrivals don't wait for answers, and what waits is counted; no query comes twice.
    """
    from indexer.threads import budget

    budget(threads, blas=1)  # as the server, so that its engine and the one here are the same
    if arrivals not in ("poisson", "constant"):
        raise ClozeError(f"--arrivals is {arrivals!r}; choose poisson or constant")
    if plot:
        check_installed()
        from eval.bench.charts import check_plot

        check_plot(plot)
    from eval.bench.serving.bench import bench_serve
    from eval.bench.serving.levels import Pace
    from eval.bench.serving.table import table

    pace = Pace(arrivals=arrivals, seconds=seconds, rounds=rounds, seed=seed)
    found = bench_serve(
        index, queries, pace, queries=clients, writes=writes, threads=threads, tell=notice
    )
    notice(table(found))
    emit(found)
    if plot:
        from eval.bench.serving.chart import serving_chart

        serving_chart(found, plot)
