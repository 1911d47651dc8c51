"""A probe's folder: the table's figures as JSON, and the picture."""

import json
import os
from pathlib import Path

from eval.folders import replace_folder
from indexer.errors import ClozeError
from training.probe.curve import Probe
from training.probe.picture import draw
from training.probe.table import as_json

FIGURES, PICTURE = "probe.json", "probe.png"


def check_folder(folder: Path) -> None:
    """Check that a probe may be written there: nothing is there, or an earlier probe alone.

    Raises:
        ClozeError: it is a file, or holds something else.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ClozeError(f"--out {folder} is a file; name a folder")
    if others := sorted(set(os.listdir(folder)) - {FIGURES, PICTURE}):
        raise ClozeError(
            f"--out {folder} holds {others[0]}, not of a probe; name an empty or a new folder"
        )


def write_probe(probe: Probe, folder: Path) -> None:
    """Write a probe into a folder, which appears whole; an earlier probe there is replaced.

    Raises:
        ClozeError: the folder holds something else.
        OSError: it can't be written.
    """

    def write(new: Path) -> None:
        text = json.dumps(as_json(probe), ensure_ascii=False, indent=2)
        (new / FIGURES).write_text(text + "\n", encoding="utf-8")
        draw(probe, str(new / PICTURE))

    replace_folder(folder, write, check_folder)
