"""A report's folder, which appears whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from eval.report.charts import NAMES
from eval.report.filenames import run_files
from indexer.errors import ClozeError

FILES = ("report.html", "table.md", "table.tex", "metrics.json", "per_query.parquet")


def check_folder(folder: Path) -> None:
    """Make sure that a report may be written there, before anything is computed.

    Raises:
        ClozeError: the folder is a file, or it holds something that is not of a report.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ClozeError(f"{folder} is a file and no folder; name another place for the report")
    found = sorted(_found(folder))
    foreign = sorted(set(found) - _of_report(folder))
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ClozeError(
            f"{folder} holds {foreign[0]}{more}, not of a report of ours that could be replaced; "
            "name an empty or a new folder"
        )


def _found(folder: Path) -> list[str]:
    """Every file in a folder by its relative path; a link counts as a file."""
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir())
    ]


def _of_report(folder: Path) -> set[str]:
    """The files that the report in this folder wrote; none where there is no report."""
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        systems = [str(system) for system in metrics["systems"]]
    except (OSError, ValueError, TypeError, KeyError):
        return set()
    return {
        *FILES,
        *(f"charts/{name}.svg" for name in NAMES),
        *(f"runs/{name}" for name in run_files(systems).values()),
        "charts",  # where it is empty
        "runs",
    }


def replace_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder beside this one, then rename it to its place.

    An older report is moved aside first and deleted last; whatever fails, it is still there, and
    nothing of the new one is.

    Raises:
        ClozeError: see `check_folder`.
    """
    check_folder(folder)
    folder = folder.resolve()
    made = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _build(folder, write)
    except BaseException:
        _remove_empty(made)
        raise


def _build(folder: Path, write: Callable[[Path], None]) -> None:
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        new = beside / "new"
        new.mkdir()
        write(new)
        _swap(new, folder, beside / "old")
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _swap(new: Path, folder: Path, old: Path) -> None:
    if not folder.exists():
        os.rename(new, folder)
        return
    check_folder(folder)  # again: writing may have taken long
    os.rename(folder, old)
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(old, folder)
        raise


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # not made yet, or someone else put something there
            continue
