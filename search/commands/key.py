"""`cloze key`: who may use the service."""

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
    import os

    from indexer.errors import ClozeError
    from search.api.keys import SCOPES, Key, digest_of, generate

    found = next((each for each in SCOPES if each == scope), None)
    if found is None:
        raise ClozeError(f"--scope is {scope!r}; choose read or write")
    if not name.strip() or not name.isprintable():
        raise ClozeError(f"--name is {name!r}; give it letters that can be printed")
    secret = generate()
    line = Key(digest=digest_of(secret), scope=found, name=name.strip()).line()
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with open(descriptor, "a", encoding="utf-8") as lines:
        lines.write(line + "\n")
    tell(secret)
    notice(f"{file} keeps its hash; the key itself is not to be had again")
