"""`cloze search`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.commands.console import (
    AsJson,
    Device,
    IndexFolder,
    Precision,
    Threads,
    emit,
    notice,
    progress_bar,
    resolve_device,
)

if TYPE_CHECKING:
    from search.index import Index


def search(
    index: IndexFolder,
    query: Annotated[str | None, typer.Argument(metavar="[QUERY]", help="What to find")] = None,
    queries: Annotated[
        str | None, typer.Option(help="A file of queries: JSON lines with _id and text, .tsv, .txt")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Write a TREC run here (with --queries)")] = None,
    top: Annotated[int, typer.Option(help="How many hits")] = 10,
    offset: Annotated[int, typer.Option(help="How many hits to pass over")] = 0,
    mode: Annotated[
        str | None,
        typer.Option(help="hybrid, dense or lexical [default: hybrid where there are vectors]"),
    ] = None,
    fusion: Annotated[
        str | None, typer.Option(help="minmax or rrf [default: the index's, else minmax]")
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(help="Share of the dense score in minmax [default: the index's, else 0.5]"),
    ] = None,
    filter: Annotated[
        str | None, typer.Option(help="Metadata, e.g. 'year >= 2000 and lang in (en, de)'")
    ] = None,
    passages: Annotated[int, typer.Option(help="How many passages of each hit")] = 1,
    count: Annotated[bool, typer.Option("--count", help="Count all matches exactly")] = False,
    facets: Annotated[
        str,
        typer.Option(
            metavar="FIELD[,FIELD]",
            help="Count the values of metadata fields among the candidates that the retrievals "
            "fetched (1,000 each), not among all matches",
        ),
    ] = "",
    collapse: Annotated[
        bool, typer.Option("--collapse", help="Fold near-duplicates into the best of them")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell how each score came about, and what ran")
    ] = False,
    rerank: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|late|none",
            help="Order the first hits anew by a cross-encoder (folder or hub id), or by late "
            "interaction of the index's own encoder [default: the index's, else none]",
        ),
    ] = None,
    rerank_depth: Annotated[
        int | None, typer.Option(help="How many to rerank [default: the index's, else 50]")
    ] = None,
    rerank_budget_ms: Annotated[
        float | None, typer.Option(help="Rerank as many as fit into so many milliseconds instead")
    ] = None,
    rerank_weight: Annotated[
        float | None,
        typer.Option(
            help="Share of the rerank score [default: the index's, else 0.6 for late, 0.7 for a "
            "cross-encoder]"
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = None,
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Search an index: one query to the terminal, or a file of queries to a TREC run."""
    from indexer.errors import ClozeError
    from indexer.threads import budget

    budget(threads)
    if (query is None) == (queries is None) or (queries is None) != (run is None):
        raise ClozeError(
            "search takes a QUERY, or --queries FILE with --run FILE; see cloze search --help"
        )
    if run is not None and (facets or explain):
        raise ClozeError("--facets and --explain are about one QUERY; a run file has no place")
    if run is not None:
        _check_writable(run)
    from search.index import Index
    from search.telling import tell_results

    options: dict[str, Any] = {
        "top": top, "offset": offset, "mode": mode, "fusion": fusion, "weight": weight,
        "filter": filter, "passages": passages, "count": count, "collapse": collapse,
        "facets": tuple(field.strip() for field in facets.split(",") if field.strip()),
        "explain": explain, "rerank": rerank, "rerank_depth": rerank_depth,
        "rerank_budget_ms": rerank_budget_ms, "rerank_weight": rerank_weight,
    }  # fmt: skip
    with Index.open(
        index, device=resolve_device(device), threads=threads, precision=precision
    ) as opened:
        if offset + top > (depth := opened.depth):
            notice(f"candidates end at {depth:,} of each retrieval; top and offset reach further")
        if queries is not None and run is not None:
            _write_run(opened, queries, run, options, quiet=json)
        else:
            results = opened.search(query or "", **options)
            emit(results.as_json()) if json else tell_results(results)
        for line in opened.notices:  # all known only when postings and vectors have been read
            notice(line)


def _write_run(
    index: "Index", queries: str, run: str, options: dict[str, Any], *, quiet: bool
) -> None:
    from pathlib import Path

    from indexer.progress import Step
    from search.files import whole_file
    from search.queries import read_queries
    from search.runs import RunWriter

    asked = list(read_queries(queries))
    done = 0
    with (
        whole_file(Path(run)) as file,
        progress_bar(lambda: done / max(len(asked), 1), quiet=quiet, unit="queries") as progress,
    ):
        writer = RunWriter(file, f"cloze-{options['mode'] or 'default'}")
        for query, text in asked:
            writer.write(query, index.rank(text, **options))
            done += 1
            progress(Step(phase="search", documents=done))
    if writer.encoded_ids:
        notice(f"{writer.encoded_ids} ids hold white space and are percent-encoded in {run}")
    notice(f"{run}: {len(asked)} queries")


def _check_writable(path: str) -> None:
    """Check, before the work, that a file can be put there."""
    from pathlib import Path

    from indexer.errors import ClozeError

    if Path(path).is_dir():
        raise ClozeError(f"--run {path} is a folder; name a file")
    if not Path(path).absolute().parent.is_dir():
        raise ClozeError(f"--run {path}: its folder does not exist; make it first")
