"""`cloze key`: who may use the service."""

from pathlib import Path
from typing import Annotated

import typer

from indexer.commands.console import notice, tell

key = typer.Typer(help="Keys of the search service.", no_args_is_help=True)


@key.callback()
def _only() -> None:
    """Keys of the search service."""


@key.command()
def add(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where `cloze serve` reads keys")],
    name: Annotated[str, typer.Option(help="Whose it is, for logs")] = "unnamed",
    scope: Annotated[str, typer.Option(help="read, or write, which may read too")] = "read",
) -> None:
    """Make a key, print it once, and keep its hash in a file."""
    from indexer.errors import ClozeError
    from search.api.keys import SCOPES, add_key

    found = next((each for each in SCOPES if each == scope), None)
    if found is None:
        raise ClozeError(f"--scope is {scope!r}; choose read or write")
    tell(add_key(Path(file), found, name))
    notice(f"{file} keeps its hash; the key itself is not to be had again")
