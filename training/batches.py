"""Batches: packed rows as tensors, made ahead of the model in a thread of their own."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from indexer.errors import ClozeError
from training.ahead import ahead
from training.bert import Inputs
from training.loop.parts import Part
from training.objectives.pair import UNASKED
from training.packing import Piece, pack
from training.sequences import Sequence, Sequences

Row: TypeAlias = list[Sequence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows that go through the model at once, and what is asked of them.

    `places` are those of masked tokens among all of the rows' places, [masked], `labels` what stood
    there; `firsts` are those of each [CLS] whose pair has a label, [pairs].
    """

    inputs: Inputs
    places: Tensor
    labels: Tensor
    firsts: Tensor
    pairs: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One step's work of this process.

    `tokens` counts those of all processes, without padding; where there are several and pairs are
    asked, it is what there was room for in the rows of the others, so that all count alike.
    `counts` is what is asked here, by objective; `name` tells which texts they are, `position`
    where the next batch begins.
    """

    rows: list[Rows]
    tokens: int
    counts: dict[str, int]
    name: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A batch's size: `rows` of `width` places, of which `at_once` go through the model."""

    rows: int
    width: int
    at_once: int


def batches(
    sequences: Sequences, position: int, shape: Shape, part: Part, *, pinned: bool = False
) -> Generator[Batch]:
    """Yield batches from a position on, without end, a few made ahead.

    All processes pack the same rows, and each makes the sequences of its own: row i is of process
    i modulo their number.
    """
    return ahead(_made(sequences, position, shape, part, pinned=pinned))


def _made(
    sequences: Sequences, position: int, shape: Shape, part: Part, *, pinned: bool
) -> Generator[Batch]:
    while True:
        packed, after = pack(sequences.lengths, position, shape.rows, shape.width)
        own = sequences.make(packed[part.rank :: part.world])
        yield Batch(
            rows=[_tensors(some, shape.width, pinned=pinned) for some in _some(own, shape.at_once)],
            tokens=_tokens(own) if part.world == 1 else _room(packed),
            counts=_counts(own),
            name=f"width {shape.width}, sequences {position:,} to {after - 1:,}",
            position=after,
        )
        position = after


def unpacked(sequences: Sequences, count: int, shape: Shape) -> Iterator[Rows]:
    """Yield the first sequences, each whole in a row of its own, as an evaluation reads them.

    They come by their length, and rows are as wide as the longest that go with them.
    """
    positions = np.arange(min(count, sequences.count), dtype=np.int64)
    lengths = sequences.lengths(positions)
    by_length = np.argsort(lengths, kind="stable")
    for start in range(0, len(positions), shape.at_once):
        some = by_length[start : start + shape.at_once]
        rows = [
            [Piece(position=int(position), length=int(length))]
            for position, length in zip(positions[some], lengths[some], strict=True)
        ]
        yield _tensors(sequences.make(rows), int(lengths[some[-1]]), pinned=False)


def check_rows(batch_tokens: int, widest: int) -> None:
    """Check that a batch holds a row.

    Raises:
        ClozeError: it is smaller.
    """
    if batch_tokens < widest:
        raise ClozeError(
            f"--batch-tokens is {batch_tokens} and the longest --length {widest}: a batch holds a "
            f"row at least; give {widest} tokens or more, or a shorter length"
        )


def _some(rows: list[Row], at_once: int) -> Iterator[list[Row]]:
    return (rows[start : start + at_once] for start in range(0, len(rows), at_once))


def _tokens(rows: list[Row]) -> int:
    return sum(len(text.ids) for row in rows for text in row)


def _room(packed: list[list[Piece]]) -> int:
    return sum(piece.length for row in packed for piece in row)


def _counts(rows: list[Row]) -> dict[str, int]:
    texts = [text for row in rows for text in row]
    return {
        "mlm": sum(int((text.labels != UNASKED).sum()) for text in texts),
        "pair": sum(text.pair != UNASKED for text in texts),
    }


def _tensors(rows: list[Row], width: int, *, pinned: bool) -> Rows:
    ids, positions, segments, sequences = (np.zeros((len(rows), width), np.int64) for _ in range(4))
    labels = np.full((len(rows), width), UNASKED, np.int64)
    firsts, pairs = [], []
    for number, row in enumerate(rows):
        start = 0
        for which, text in enumerate(row, start=1):
            place = number, slice(start, start + len(text.ids))
            ids[place], labels[place], segments[place] = text.ids, text.labels, text.segments
            positions[place] = np.arange(len(text.ids))
            sequences[place] = which
            if text.pair != UNASKED:
                firsts.append(number * width + start)
                pairs.append(text.pair)
            start += len(text.ids)
    flat = labels.ravel()
    places = np.flatnonzero(flat != UNASKED)

    def tensor(values: NDArray[np.int64]) -> Tensor:
        made = torch.from_numpy(values)
        return made.pin_memory() if pinned else made

    return Rows(
        inputs=Inputs(
            ids=tensor(ids), positions=tensor(positions),
            segments=tensor(segments), sequences=tensor(sequences),
        ),
        places=tensor(places),
        labels=tensor(flat[places]),
        firsts=tensor(np.array(firsts, np.int64)),
        pairs=tensor(np.array(pairs, np.int64)),
    )  # fmt: skip
