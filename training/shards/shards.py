"""Shards: the door to tokenised text on disk, memory-mapped and read only."""

from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexer.errors import ClozeError
from training.shards.files import KINDS, ShardSeal, array_path, is_whole, read_seal
from training.shards.maps import Maps
from training.shards.runs import Runs


class Shards:
    """The tokens of some texts with the borders of their documents and sentences.

    `content_hash` covers the texts, the tokenizer, the share held out and the rules of cutting;
    `documents`, `sentences` and `tokens` are totals, held-out ones included; `dropped` documents
    had no token; `held_out` documents are kept for evaluation.
    """

    def __init__(self, folder: Path, seal: dict[str, Any], maps: Maps) -> None:
        """Stand on shards that `open` has checked."""
        self.folder = folder
        self.content_hash: str = seal["content_hash"]
        self.documents: int = seal["documents"]
        self.sentences: int = seal["sentences"]
        self.tokens: int = seal["tokens"]
        self.dropped: int = seal["read"] - seal["documents"]
        self.held_out: int = seal["held_out"]
        self._threshold: int = seal["threshold"]
        self._maps = maps

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open finished shards; the sha256 of each file is remembered while it doesn't change.

        Raises:
            ClozeError: the folder is none, unfinished or damaged; the line names the file.
        """
        seal = read_seal(folder)
        seals = [ShardSeal(**each) for each in seal["shards"]]
        for number, each in enumerate(seals):
            for kind in KINDS:
                if not is_whole(folder, kind, number, each):
                    raise ClozeError(
                        f"{array_path(folder, kind, number)} is not what was written; delete "
                        f"{folder} and run the command again"
                    )
        return cls(folder, seal, Maps(folder, len(seals)))

    def runs(self, room: int, *, held_out: bool = False) -> Runs:
        """Return every document cut each `room` tokens, of those held out or of all the others.

        Raises:
            ClozeError: there is no room.
        """
        if room < 1:
            raise ClozeError(f"a run of {room} tokens holds nothing; give a greater length")
        chosen = np.flatnonzero(self._is_held == held_out)
        return Runs(self._maps, chosen, room)

    @cached_property
    def _is_held(self) -> NDArray[np.bool_]:
        hashes = np.concatenate(list(self._maps.each("hashes")))
        held: NDArray[np.bool_] = hashes < np.uint64(self._threshold)
        return held
