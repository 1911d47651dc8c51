"""Work made ahead of the model, in a thread of its own."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# So many are made ahead.
_AHEAD = 4

_T = TypeVar("_T")


def ahead(made: Iterator[_T]) -> Generator[_T]:
    """Yield what an endless iterator makes, a few of it made before they are asked for."""
    with ThreadPoolExecutor(1, "batches") as thread:
        waiting = [thread.submit(next, made) for _ in range(_AHEAD)]
        while True:
            yield waiting.pop(0).result()
            waiting.append(thread.submit(next, made))
