"""The arrays of shards, mapped into memory when they are asked for."""

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from training.shards.files import load_array

# A map holds its file open, and a process may open 1,024 on most systems.
_MAPS = 400


class Maps:
    """The arrays of some shards; those used last stay mapped."""

    def __init__(self, folder: Path, shards: int) -> None:
        """Map nothing yet."""
        self.shards = shards
        self._folder = folder
        self._load = lru_cache(_MAPS)(partial(load_array, folder))

    def get(self, kind: str, number: int) -> NDArray[Any]:
        """Return one array of a shard, mapped."""
        return self._load(kind, number)

    def each(self, kind: str) -> Iterator[NDArray[Any]]:
        """Yield the arrays of one kind, shard by shard, none of which stays mapped."""
        for number in range(self.shards):
            yield load_array(self._folder, kind, number)
