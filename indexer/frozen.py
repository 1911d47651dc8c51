"""An index in a folder that can't be written, searched as it stands."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import ClozeError

# Those that tantivy opens anew at every commit; all others are read in place.
_REPLACED = ("meta.json", ".managed.json")


def is_frozen(folder: Path) -> bool:
    """Tell whether this process can't write to a folder that is there."""
    return folder.is_dir() and not os.access(folder, os.W_OK)


def connect_frozen(path: Path) -> sqlite3.Connection:
    """Open a store without the files that SQLite puts beside it, which can't be made.

    SQLite then takes the file for one that nobody changes (https://sqlite.org/uri.html, immutable).

    Raises:
        ClozeError: transactions lie in a log beside it, which such a connection would not see.
    """
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise ClozeError(
            f"{path.parent} can't be written, and {log.name} holds transactions that are not in "
            f"{path.name} yet: a process has it open, or was killed; end it, and run cloze info on "
            "it once where it can be written"
        )
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


@contextmanager
def frozen_postings(home: Path) -> Iterator[Path]:
    """Give a temporary home of the same postings, where tantivy can make the locks it wants.

    What has been opened stays open when the home goes.
    """
    with tempfile.TemporaryDirectory(prefix="cloze-") as place:
        for generation in home.iterdir():
            copy = Path(place) / generation.name
            copy.mkdir()
            for file in generation.iterdir():
                if file.name in _REPLACED:
                    shutil.copyfile(file, copy / file.name)
                elif file.suffix != ".lock":
                    (copy / file.name).symlink_to(file.absolute())
        yield Path(place)
