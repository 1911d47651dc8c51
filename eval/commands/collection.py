"""`cloze collection`: make and look at collections to evaluate on."""

from typing import Annotated

import typer

from indexer.commands.console import AsJson, emit, notice, progress_bar, tell

collection = typer.Typer(
    help="Make and look at collections to evaluate on.", no_args_is_help=True, add_completion=False
)


@collection.callback()
def _collection() -> None:
    """Keep the sub-command's name in the command line."""


@collection.command("info")
def info(
    collection: Annotated[
        str,
        typer.Argument(
            metavar="COLLECTION", help="A folder as BEIR or TREC has it, or an ir_datasets id"
        ),
    ],
    split: Annotated[
        str | None, typer.Option(help="Which judgements [default: test, else the only ones]")
    ] = None,
    json: AsJson = False,
) -> None:
    """Count a collection's documents, queries and judgements, and tell what is missing."""
    from eval.collections import open_collection
    from eval.collections.description import as_lines, describe
    from indexer.progress import Step

    opened = open_collection(collection, split)
    documents = opened.corpus() if opened.corpus else None
    position = documents.position if documents else lambda: None
    with progress_bar(position, quiet=json) as progress:
        found = describe(
            opened, documents, lambda count: progress(Step(phase="read", documents=count))
        )
    if json:
        emit(found.as_json())
        return
    for line in opened.notices:
        notice(line)
    for line in as_lines(found):
        tell(line)


@collection.command("from-pairs")
def from_pairs(
    pairs: Annotated[str, typer.Argument(help="JSON lines of query and positive, also .gz")],
    folder: Annotated[str, typer.Argument(help="The BEIR folder to write")],
    documents: Annotated[
        int, typer.Option(min=1, help="Keep at most so many documents")
    ] = 1_000_000,
    queries: Annotated[
        int, typer.Option(min=1, help="At most so many queries in dev; train has the others")
    ] = 1_000,
    json: AsJson = False,
) -> None:
    """Turn question and passage pairs into a retrieval collection, the same on every machine."""
    from pathlib import Path

    from eval.development import Sample, build_collection

    counts = build_collection(
        Path(pairs), Path(folder), Sample(documents=documents, queries=queries)
    )
    if json:
        emit(counts)
        return
    tell(f"{folder}: {counts['documents']:,} documents")
    tell(f"  dev    {counts['queries']:,} queries, {counts['judgements']:,} judgements")
    tell(f"  train  {counts['train_queries']:,} queries, {counts['train_judgements']:,} judgements")
    tell(f"next: cloze eval {folder} --split dev")
