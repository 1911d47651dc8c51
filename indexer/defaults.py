"""The defaults that an index is searched with, changed in place."""

from dataclasses import replace
from pathlib import Path

from indexer.lock import writer_lock
from indexer.manifest import Defaults, read_manifest, write_manifest


def write_defaults(folder: Path, defaults: Defaults) -> None:
    """Store what a search of this index uses where it is not told; open readers follow.

    Raises:
        ClozeError: another process is writing to the index.
    """
    with writer_lock(folder):
        write_manifest(folder, replace(read_manifest(folder), defaults=defaults))
