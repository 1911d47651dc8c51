"""The journal of a run: a line of JSON an event, the same for TensorBoard, and a picture of it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TextIO

from training.loop.curve import draw_curve

NAME = "log.jsonl"
PICTURE = "loss.png"


class Journal:
    """What happened at which step, appended as it happens.

    `kind` of an event is train (means over the steps since the last) or held_out.
    """

    def __init__(self, folder: Path, step: int) -> None:
        """Continue a folder's journal after a step; what was written of later ones is dropped."""
        from torch.utils.tensorboard.writer import SummaryWriter

        self._folder = folder
        self._path = folder / NAME
        # A run that begins is judged before its first step, and one cut short then begins anew.
        kept = [event for event in read_journal(folder) if step and event["step"] <= step]
        scratch = self._path.with_suffix(".part")
        scratch.write_text("".join(json.dumps(event) + "\n" for event in kept))
        os.replace(scratch, self._path)
        self._file: TextIO = self._path.open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the files."""
        self._file.close()
        self._board.close()

    def write(self, kind: str, step: int, figures: dict[str, Any]) -> None:
        """Append an event."""
        self._file.write(json.dumps({"kind": kind, "step": step} | figures) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def draw(self, figure: str | None = None) -> None:
        """Draw the losses over the tokens as a PNG file, and a held-out figure if one is named."""
        draw_curve(list(read_journal(self._folder)), self._folder / PICTURE, figure)


def read_journal(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a run's folder; a line cut by a crash is the last and is left out."""
    path = folder / NAME
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            return
        yield event
