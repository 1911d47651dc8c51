"""Batches: what is asked where, the same from any position and in any number of processes."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from indexer.errors import ClozeError
from tests.training.small import texts_of
from training.batches import Batch, Rows, Shape, batches, check_rows, unpacked
from training.loop.parts import Part
from training.masking import Vocabulary
from training.sequences import Corruption, Sequences, room_for
from training.shards import Shards

WIDTH = 40
SHAPE = Shape(rows=7, width=WIDTH, at_once=3)
ALONE = Part()
Source = Callable[[str | None], Sequences]


@pytest.fixture
def source(text_shards: Shards, base_vocabulary: Vocabulary) -> Source:
    def make(pairing: str | None) -> Sequences:
        corruption = Corruption(pairing=pairing)
        runs = text_shards.runs(room_for(WIDTH, corruption))
        return Sequences(runs, base_vocabulary, corruption, seed=9)

    return make


def take(sequences: Sequences, count: int, position: int = 0, part: Part = ALONE) -> list[Batch]:
    return list(islice(batches(sequences, position, SHAPE, part), count))


def tensors(rows: Rows) -> list[Tensor]:
    inputs = rows.inputs
    return [
        *(inputs.ids, inputs.positions, inputs.segments, inputs.sequences),
        *(rows.places, rows.labels, rows.firsts, rows.pairs),
    ]


def alike(left: Batch, right: Batch) -> bool:
    return (
        (left.tokens, left.counts, left.name, left.position)
        == (right.tokens, right.counts, right.name, right.position)
        and len(left.rows) == len(right.rows)
        and all(
            torch.equal(one, other)
            for pair in zip(left.rows, right.rows, strict=True)
            for one, other in zip(*map(tensors, pair), strict=True)
        )
    )


def label_row(rows: Rows) -> Tensor:
    """The labels at all places, -100 where nothing is asked."""
    labels = torch.full((rows.inputs.ids.numel(),), -100)
    labels[rows.places] = rows.labels
    return labels


pairings = pytest.mark.parametrize("pairing", [None, "nsp", "sop"])


@pairings
def test_rows_hold_whole_sequences_and_padding_nothing(
    source: Source, base_vocabulary: Vocabulary, pairing: str | None
) -> None:
    special = torch.from_numpy(base_vocabulary.special)
    for batch in take(source(pairing), 4):
        assert [len(rows.inputs.ids) for rows in batch.rows] == [3, 3, 1]
        real = counted = pairs = 0
        for rows in batch.rows:
            inputs, labels = rows.inputs, label_row(rows)
            padding = inputs.sequences == 0
            assert not inputs.ids[padding].any()
            assert (labels[padding.flatten()] == -100).all()
            assert not special[rows.labels].any()
            # Padding stands behind all sequences of a row.
            assert torch.equal(padding.sort(dim=1, stable=True).values, padding)
            starts = []
            for places, (ids, segments) in texts_of(inputs):
                starts.append(places.start)
                assert ids[0] == base_vocabulary.cls
                assert ids[-1] == base_vocabulary.sep
                flat = inputs.positions.flatten()[places]
                assert flat.tolist() == list(range(len(ids)))
                assert labels[places.start] == labels[places.stop - 1] == -100
                assert segments.tolist() == sorted(segments.tolist())
                assert bool(segments.any()) == (pairing is not None)
            assert set(rows.firsts.tolist()) <= set(starts)
            assert set(rows.pairs.tolist()) <= {0, 1}
            real += int((~padding).sum())
            counted += len(rows.labels)
            pairs += len(rows.pairs)
        assert batch.counts == {"mlm": counted, "pair": pairs}
        assert (pairs > 0) == (pairing is not None)
        assert counted > 0
        assert batch.tokens == real


@pairings
def test_batches_are_the_same_wherever_they_are_begun(source: Source, pairing: str | None) -> None:
    all_of_them = take(source(pairing), 6)
    for begun in (1, 2, 5):
        again = take(source(pairing), 6 - begun, all_of_them[begun - 1].position)
        assert all(map(alike, again, all_of_them[begun:]))
    assert not alike(all_of_them[0], all_of_them[1])


@pairings
@pytest.mark.parametrize("world", [2, 3, 9])
def test_processes_share_the_rows_of_one(source: Source, pairing: str | None, world: int) -> None:
    def each_row(batch: Batch) -> list[tuple[list[int], list[int]]]:
        return [
            (ids.tolist(), labels.tolist())
            for rows in batch.rows
            for ids, labels in zip(rows.inputs.ids, label_row(rows).view(-1, WIDTH), strict=True)
        ]

    alone = take(source(pairing), 3)
    parts = [take(source(pairing), 3, 0, Part(rank=rank, world=world)) for rank in range(world)]
    for number, batch in enumerate(alone):
        rows = each_row(batch)
        shares = [part[number] for part in parts]
        for rank, share in enumerate(shares):
            assert each_row(share) == rows[rank::world]
            assert (share.tokens, share.name) == (shares[0].tokens, batch.name)
            assert share.tokens >= batch.tokens
            assert share.tokens == batch.tokens or pairing, "pairs alone may leave room"
            assert share.position == batch.position
        for name, count in batch.counts.items():
            assert sum(share.counts[name] for share in shares) == count


def test_an_epoch_trains_each_token_at_most_once_and_nothing_held_out(
    text_shards: Shards, source: Source
) -> None:
    sequences = source(None)
    room = room_for(WIDTH, Corruption())
    unused = sorted(tuple(run.ids.tolist()) for run in text_shards.runs(room))
    held_out = {tuple(run.ids.tolist()) for run in text_shards.runs(room, held_out=True)}
    assert len(held_out) >= 5
    seen = 0
    position = 0
    while position < sequences.count:
        (batch,) = take(sequences, 1, position)
        position = batch.position
        for rows in batch.rows:
            labels = label_row(rows)
            for places, (ids, _) in texts_of(rows.inputs):
                if seen == sequences.count:
                    break
                text = torch.where(labels[places] != -100, labels[places], ids)[1:-1].tolist()
                # It is a run, or what fitted of one, and each is there once.
                whole = next(run for run in unused if run[: len(text)] == tuple(text))
                assert len(text) >= 30 or len(text) == len(whole)
                unused.remove(whole)
                assert tuple(text) not in held_out
                seen += 1
    assert seen == sequences.count
    assert not unused


def test_a_text_smaller_than_a_batch_is_read_again(source: Source) -> None:
    sequences = source(None)
    shape = Shape(rows=500, width=WIDTH, at_once=100)
    batch = next(batches(sequences, 0, shape, Part()))
    assert batch.position > 2 * sequences.count
    assert batch.tokens > 0.9 * 500 * WIDTH


def test_an_evaluation_reads_whole_texts_each_in_a_row(
    text_shards: Shards, base_vocabulary: Vocabulary
) -> None:
    runs = text_shards.runs(room_for(WIDTH, Corruption()), held_out=True)
    sequences = Sequences(runs, base_vocabulary, Corruption(), seed=0)
    for count, expected in ((10, 10), (10_000, len(runs))):
        rows = list(unpacked(sequences, count, SHAPE))
        assert sum(len(each.inputs.ids) for each in rows) == expected
        assert max(len(each.inputs.ids) for each in rows) == SHAPE.at_once
        assert max(int(each.inputs.sequences.max()) for each in rows) == 1
        lengths = [each.inputs.sequences.sum(1).tolist() for each in rows]
        assert [length for each in lengths for length in each] == sorted(
            sequences.lengths(np.arange(expected)).tolist()
        )
        # No row is wider than the longest text that goes with it.
        assert [each.inputs.ids.shape[1] for each in rows] == [max(each) for each in lengths]


def test_a_batch_smaller_than_a_row_is_refused() -> None:
    check_rows(128, 128)
    with pytest.raises(ClozeError, match="--batch-tokens is 127 and the longest --length 128"):
        check_rows(127, 128)
