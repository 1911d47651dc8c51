"""A report's folder: what may be replaced by a report."""

import json
import os
from pathlib import Path

from eval.report.charts import NAMES
from eval.report.filenames import run_files
from indexer.errors import ClozeError

FILES = ("report.html", "table.md", "table.tex", "metrics.json", "per_query.parquet")
# Of the keys of metrics.json these are enough to tell a report's from other programs' files.
_KINDS = {"collection": str, "measures": list, "systems": dict, "provenance": dict}


def check_folder(folder: Path) -> None:
    """Make sure that a report may be written there, before anything is computed.

    Raises:
        ClozeError: the folder can't be made or replaced, it is a file, or it holds something that
            is not of a report.
    """
    try:
        place = folder.resolve()
        _check_parent(folder, place)
        foreign = _foreign(place) if os.path.lexists(place) else []
    except OSError as error:
        raise _refused(folder, error.strerror or str(error)) from None
    except RuntimeError:  # of `resolve`, before Python 3.13
        raise _refused(folder, "a loop of links") from None
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ClozeError(
            f"{folder} holds {foreign[0]}{more}, not of a report of ours that could be replaced; "
            "name an empty or a new folder"
        )


def _refused(folder: Path, reason: str) -> ClozeError:
    return ClozeError(f"{folder}: {reason}; name another place for the report")


def _check_parent(folder: Path, place: Path) -> None:
    """Check that a folder can be made, or this one moved, where it is."""
    parent = next((each for each in place.parents if os.path.lexists(each)), None)
    if parent is None:
        raise _refused(folder, "is the root of all folders")
    if not parent.is_dir():
        raise _refused(folder, f"{parent} is a file and no folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _refused(folder, f"{parent} can't be written to")
    if os.path.lexists(place) and not place.is_dir():
        raise _refused(folder, "is a file and no folder")


def _foreign(folder: Path) -> list[str]:
    """List by relative path what no report has: other files, empty folders, links of any name."""
    ours = _of_report(folder)
    found = {
        path.relative_to(folder).as_posix(): path.is_symlink()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir())
    }
    return sorted(name for name, is_link in found.items() if is_link or name not in ours)


def _of_report(folder: Path) -> set[str]:
    """The files that the report in this folder wrote; none where there is no report."""
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    if not isinstance(metrics, dict) or not all(
        isinstance(metrics.get(key), kind) for key, kind in _KINDS.items()
    ):
        return set()
    return {
        *FILES,
        *(f"charts/{name}.svg" for name in NAMES),
        *(f"runs/{name}" for name in run_files(metrics["systems"]).values()),
        "charts",  # where it is empty
        "runs",
    }
