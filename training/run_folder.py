"""The folder of a training run: what it was begun with, and whether it is finished."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import ClozeError
from indexer.lock import writer_lock

NAME = "run.json"
_LOCK = "lock"
_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run's folder, the settings that decide its result, and its end, None before it."""

    folder: Path
    settings: Mapping[str, Any]
    result: Mapping[str, Any] | None


def check_run(
    folder: Path, settings: Mapping[str, Any], *, unknown: frozenset[str] = frozenset()
) -> Run | None:
    """Return the run that is in a folder, None where one can begin; nothing is written.

    Settings that are `unknown` yet aren't compared.

    Raises:
        ClozeError: the folder holds something else, or a run of other settings: each is named with
            both of its values.
    """
    path = folder / NAME
    if path.exists():
        written = _read(path)
        _compare(folder, written["settings"], settings, unknown)
        return Run(folder=folder, settings=settings, result=written["result"])
    ours = {_scratch(path), folder / _LOCK}
    if folder.exists() and (not folder.is_dir() or set(folder.iterdir()) - ours):
        raise ClozeError(
            f"{folder} holds something and no run of training; name a new folder with --out"
        )
    return None


def open_run(folder: Path, settings: Mapping[str, Any]) -> Run:
    """Begin a run in a new or empty folder, or take up the one that is there.

    Raises:
        ClozeError: as `check_run` does.
    """
    if found := check_run(folder, settings):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / NAME, {"settings": settings, "result": None})
    return Run(folder=folder, settings=settings, result=None)


@contextmanager
def locked_run(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder, which is made, until the run ends or is killed.

    Raises:
        LockedError: another process is in there; it is named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder, wait=_WAIT_SECONDS):
        yield


def finish_run(run: Run, result: Mapping[str, Any]) -> Run:
    """Write that a run is finished, and with which result; its lock keeps nobody out any more."""
    _write(run.folder / NAME, {"settings": run.settings, "result": result})
    (run.folder / _LOCK).unlink(missing_ok=True)
    return Run(folder=run.folder, settings=run.settings, result=result)


def discard_run(run: Run) -> None:
    """Take back a run that was begun and has nothing yet, so that another can begin there."""
    for name in (NAME, _LOCK):
        (run.folder / name).unlink(missing_ok=True)
    if not any(run.folder.iterdir()):
        run.folder.rmdir()


def _read(path: Path) -> dict[str, Any]:
    try:
        written = json.loads(path.read_bytes())
        return {"settings": dict(written["settings"]), "result": written["result"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ClozeError(
            f"{path} is damaged ({error}); name another folder with --out, or delete this one"
        ) from None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    scratch = _scratch(path)
    with scratch.open("w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def _scratch(path: Path) -> Path:
    """Return what a file is written as first; a kill leaves it behind."""
    return path.with_suffix(".part")


def _compare(
    folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], unknown: frozenset[str]
) -> None:
    changed = [
        f"{key} {before.get(key)!r}, and now {now.get(key)!r}"
        for key in sorted({*before, *now} - unknown)
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise ClozeError(
            f"{folder} was begun with {'; '.join(changed)}: give the same to go on, or another "
            "--out"
        )
