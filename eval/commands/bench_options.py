"""Arguments and options that several benches share."""

from typing import Annotated

import typer

Corpus = Annotated[str, typer.Argument(metavar="CORPUS", help="What `cloze index` can read")]
Documents = Annotated[int, typer.Option(help="How many documents of the corpus")]
Model = Annotated[
    str | None, typer.Option(help="Checkpoint folder or hub id [default: all-MiniLM-L6-v2]")
]
