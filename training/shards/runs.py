"""Runs: stretches of documents, as many tokens each as a sequence has room for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.shards.maps import Maps

Tokens: TypeAlias = NDArray[np.uint16] | NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stretch of one document's tokens, no special ones among them.

    `borders` are the places inside the run where a sentence begins, ascending, never 0;
    `begins_sentence` and `ends_sentence` tell whether its two ends are borders too, rather than
    the middle of a sentence; `document` is the document's number among all of the shards.
    """

    ids: Tokens  # [tokens]
    borders: NDArray[np.int64]
    begins_sentence: bool
    ends_sentence: bool
    document: int


class Runs(Sequence[Run]):
    """Some documents, each cut every `room` tokens, the last run of each as short as it comes.

    Its arrays take 32 bytes a document; the tokens stay on disk.
    """

    def __init__(self, maps: Maps, documents: NDArray[np.int64], room: int) -> None:
        """Cut the documents of these numbers, ascending."""
        self.room = room
        self._maps = maps
        self._documents = documents
        borders = [
            (sentences[begins[:-1]], sentences[begins[1:]])
            for sentences, begins in zip(
                maps.each("sentences"), maps.each("documents"), strict=True
            )
        ]
        counts = [len(begin) for begin, _ in borders]
        self._first = np.cumsum([0, *counts])  # of each shard, its first document's number
        starts = np.concatenate([begin for begin, _ in borders])
        ends = np.concatenate([end for _, end in borders])
        self._starts = starts[documents]  # [documents] in the shard's tokens
        self._lengths = (ends - starts)[documents]  # [documents] in tokens
        self._after = np.cumsum(-(-self._lengths // room))  # [documents] number after its last run

    def __len__(self) -> int:
        """Return how many runs there are."""
        return int(self._after[-1]) if len(self._after) else 0

    @property
    def tokens(self) -> int:
        """The tokens of all runs."""
        return int(self._lengths.sum())

    def lengths(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tokens of the runs of these numbers, all of them below the length.

        Raises:
            IndexError: a number is beyond.
        """
        where, offset = self._locate(np.asarray(numbers, np.int64))
        lengths: NDArray[np.int64] = np.minimum(self._lengths[where] - offset, self.room)
        return lengths

    def __getitem__(self, number: int) -> Run:  # type: ignore[override]
        """Return a run by its number, read from the memory map.

        Raises:
            IndexError: the number is beyond.
        """
        found, offset = self._locate(np.asarray([number], np.int64))
        where, begin = int(found[0]), int(offset[0])
        length = min(int(self._lengths[where]) - begin, self.room)
        document = int(self._documents[where])
        shard = int(np.searchsorted(self._first, document, side="right")) - 1
        start = int(self._starts[where]) + begin
        first, after = self._maps.get("documents", shard)[document - self._first[shard] :][:2]
        sentences = self._maps.get("sentences", shard)[first:after]
        end = start + length
        inside, after_it = np.searchsorted(sentences, (start + 1, end))
        is_last = begin + length == int(self._lengths[where])
        return Run(
            ids=self._maps.get("tokens", shard)[start:end],
            borders=np.asarray(sentences[inside:after_it]) - start,
            begins_sentence=bool(sentences[inside - 1] == start),
            ends_sentence=is_last or bool((sentences[after_it : after_it + 1] == end).any()),
            document=document,
        )

    def _locate(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places of the runs' documents among those chosen, and tokens before each."""
        if numbers.size and (numbers.min() < 0 or numbers.max() >= len(self)):
            raise IndexError(f"runs are numbered from 0 to {len(self) - 1}")
        where = np.searchsorted(self._after, numbers, side="right")
        runs = -(-self._lengths[where] // self.room)
        offsets = (numbers - (self._after[where] - runs)) * self.room
        return where, offsets
