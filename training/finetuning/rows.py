"""Texts as packed rows: many short ones beside each other, and where each one's vector is."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from training.bert import Inputs

# Row widths are multiples of this, which suits the products of matrices.
_MULTIPLE = 16


class Tokenised(Protocol):
    """A text's tokens with special ones, and the segment of each, as `tokenizers` gives them."""

    @property
    def ids(self) -> Sequence[int]: ...  # noqa: D102 - said above
    @property
    def type_ids(self) -> Sequence[int]: ...  # noqa: D102
    def __len__(self) -> int: ...  # noqa: D105


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRows:
    """Rows that go through the model at once.

    `texts` are the places, in the list that was packed, of the texts in here, [texts]; `tokens` is
    how many tokens they have. `rows` and `slots` tell where each stands, the `slots`-th of its row,
    and `starts` its first place among those of all rows.
    """

    inputs: Inputs
    texts: Tensor
    rows: Tensor
    slots: Tensor
    starts: Tensor
    tokens: int

    def means(self, hidden: Tensor) -> Tensor:
        """Average each text's hidden states, [rows, width, hidden] -> [texts, hidden]."""
        numbers = torch.arange(1, int(self.slots.max()) + 2, device=hidden.device)
        own = (self.inputs.sequences.unsqueeze(1) == numbers.view(1, -1, 1)).to(hidden.dtype)
        shares = own / own.sum(2, keepdim=True).clamp(min=1.0)  # [rows, slots, width]
        pooled: Tensor = torch.bmm(shares, hidden)  # [rows, slots, hidden]
        return pooled[self.rows, self.slots]

    def firsts(self, hidden: Tensor) -> Tensor:
        """Return each text's first hidden state, [rows, width, hidden] -> [texts, hidden]."""
        return hidden.flatten(0, 1)[self.starts]

    def to(self, device: str) -> "TextRows":
        """Return the same on a device."""
        if device == "cpu":
            return self
        inputs = self.inputs
        return TextRows(
            inputs=Inputs(
                ids=inputs.ids.to(device), positions=inputs.positions.to(device),
                segments=inputs.segments.to(device), sequences=inputs.sequences.to(device),
            ),
            texts=self.texts.to(device), rows=self.rows.to(device), slots=self.slots.to(device),
            starts=self.starts.to(device), tokens=self.tokens,
        )  # fmt: skip


def text_rows(encodings: Sequence[Tokenised], places_at_once: int) -> list[TextRows]:
    """Pack tokenised texts, special tokens included, into rows as wide as the longest needs.

    `places_at_once` bounds what goes through the model at once; a single row is never split. The
    texts alone decide the rows, not their order: equal lengths keep theirs.
    """
    lengths = [len(each) for each in encodings]
    width = -(-max(lengths) // _MULTIPLE) * _MULTIPLE
    packed = fill(lengths, width)
    at_once = max(1, places_at_once // width)
    return [
        _tensors(packed[start : start + at_once], encodings, width)
        for start in range(0, len(packed), at_once)
    ]


def fill(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Put texts into rows, the longest first, each where it leaves the smallest hole.

    Best fit decreasing (Johnson, 1974). Returns rows of places in `lengths`, no length above
    `width`.
    """
    rows: list[list[int]] = []
    holes: list[tuple[int, int]] = []  # ascending
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        found = bisect_left(holes, (lengths[place], 0))
        if found == len(holes):
            rows.append([])
            hole, row = width, len(rows) - 1
        else:
            hole, row = holes.pop(found)
        rows[row].append(place)
        insort(holes, (hole - lengths[place], row))
    return rows


def _tensors(
    packed: Sequence[Sequence[int]], encodings: Sequence[Tokenised], width: int
) -> TextRows:
    ids, positions, segments, sequences = (
        np.zeros((len(packed), width), np.int64) for _ in range(4)
    )
    found: list[tuple[int, int, int, int]] = []
    tokens = 0
    for row, slot, start, text in _placed(packed, encodings):
        encoding = encodings[text]
        place = row, slice(start, start + len(encoding))
        ids[place], segments[place] = encoding.ids, encoding.type_ids
        positions[place] = np.arange(len(encoding))
        sequences[place] = slot + 1
        found.append((text, row, slot, row * width + start))
        tokens += len(encoding)
    texts, rows, slots, starts = torch.tensor(found).T
    return TextRows(
        inputs=Inputs(
            ids=torch.from_numpy(ids), positions=torch.from_numpy(positions),
            segments=torch.from_numpy(segments), sequences=torch.from_numpy(sequences),
        ),
        texts=texts, rows=rows, slots=slots, starts=starts, tokens=tokens,
    )  # fmt: skip


def _placed(
    packed: Sequence[Sequence[int]], encodings: Sequence[Tokenised]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield row, slot, first place and text."""
    for row, texts in enumerate(packed):
        start = 0
        for slot, text in enumerate(texts):
            yield row, slot, start, text
            start += len(encodings[text])
