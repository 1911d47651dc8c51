"""Text being read, for a person to watch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from indexer.commands.console import progress_bar

if TYPE_CHECKING:
    from indexer.progress import Phase
    from training.text import Advance


@contextmanager
def reading_bar(phase: "Phase", unit: str, *, quiet: bool) -> "Iterator[Advance]":
    """Show what is done of a text in `unit`, the rate and the time left."""
    from indexer.progress import Step

    read: list[float | None] = [None]
    with progress_bar(lambda: read[0], quiet=quiet, unit=unit) as show:

        def advance(done: int, share: float | None) -> None:
            read[0] = share
            show(Step(phase=phase, documents=done))

        yield advance
