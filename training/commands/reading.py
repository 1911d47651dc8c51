"""Text on the command line: how it is named, and its reading for a person to watch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from indexer.commands.console import notice, progress_bar

if TYPE_CHECKING:
    from indexer.progress import Phase
    from training.text import Advance

Text: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="TEXT...",
        help=".jsonl, .json, .parquet, .csv, .tsv, .txt, .md, .html or .pdf files, each also "
        ".gz; a BEIR folder; a folder of the last four; quoted patterns; docstrings",
    ),
]
TitleField: TypeAlias = Annotated[
    str | None, typer.Option("--title", help="The field that holds the title")
]
TextField: TypeAlias = Annotated[
    str | None, typer.Option("--text", help="The field that holds the text")
]
SkipBad: TypeAlias = Annotated[
    bool, typer.Option("--skip-bad", help="Skip and count bad lines instead of stopping")
]


@contextmanager
def reading_bar(phase: "Phase", unit: str, *, quiet: bool) -> "Iterator[Advance]":
    """Show what is done of a text in `unit`, the rate and the time left."""
    from indexer.progress import Step

    read: list[float | None] = [None]
    with progress_bar(lambda: read[0], quiet=quiet, unit=unit) as show:

        def advance(done: int, share: float | None) -> None:
            read[0] = share
            show(Step(phase=phase, documents=done))

        yield advance


def tell_replaced(out: str) -> None:
    """Tell before the work that a file is there whose place the result will take."""
    from pathlib import Path

    if Path(out).exists():
        notice(f"{out} is there; it is replaced when all is done")
