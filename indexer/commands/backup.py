"""`cloze backup` and `restore`: a whole index in one file, and back."""

from typing import Annotated

import typer

from indexer.commands.console import IndexFolder, progress_bar, tell

_File = Annotated[
    str,
    typer.Argument(metavar="FILE", help="The backup, a tar file; .gz or .tgz compresses it"),
]


def backup(index: IndexFolder, file: _File) -> None:
    """Copy an index into one file while others read it and write to it."""
    from indexer.backup import BackingUp

    work = BackingUp(index, file)
    with progress_bar(work.position, quiet=False, unit="MiB") as progress:
        head = work.run(progress)
    tell(f"{file}: {head.documents:,} documents of {index}, as of transaction {head.sequence:,}")


def restore(
    file: _File,
    index: Annotated[str, typer.Argument(metavar="INDEX", help="The new index folder")],
) -> None:
    """Make an index folder of a backup, after all of it has been checked."""
    from indexer.restoration import Restoration

    work = Restoration(file, index)
    with progress_bar(work.position, quiet=False, unit="MiB") as progress:
        head = work.run(progress)
    tell(f"{index}: {head.documents:,} documents restored, as of transaction {head.sequence:,}")
