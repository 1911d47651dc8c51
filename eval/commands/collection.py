"""`cloze collection`: make and look at collections to evaluate on."""

from typing import Annotated

import typer

from indexer.commands.console import emit

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
