"""Sequences: what a position holds, and that nothing but it and the settings decides that."""

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.errors import ClozeError
from training.masking import MASKINGS, Rates, Vocabulary
from training.packing import Piece
from training.sequences import Corruption, Sequence, Sequences, room_for
from training.shards import Shards

WIDTH = 24
PAIRINGS = [None, "nsp", "sop"]
# So few tokens are chosen that next to nothing is hidden.
LITTLE = Rates(chosen=1e-9)


def sequences(
    shards: Shards, vocabulary: Vocabulary, corruption: Corruption, seed: int = 5
) -> Sequences:
    return Sequences(shards.runs(room_for(WIDTH, corruption)), vocabulary, corruption, seed)


def make(source: Sequences, positions: list[int], cut: int = 0) -> list[Sequence]:
    lengths = source.lengths(np.array(positions, np.int64)).tolist()
    pieces = [
        Piece(position=position, length=length - cut)
        for position, length in zip(positions, lengths, strict=True)
    ]
    return source.make([pieces])[0]


def restored(sequence: Sequence) -> NDArray[np.int64]:
    """The text before it was corrupted."""
    return np.where(sequence.labels != -100, sequence.labels, sequence.ids)


def is_inside(ids: tuple[int, ...], runs: set[tuple[int, ...]]) -> bool:
    """Tell whether ids stand side by side in one of the runs."""
    return any(
        run[start : start + len(ids)] == ids
        for run in runs
        for start in range(len(run) - len(ids) + 1)
    )


def same(left: Sequence, right: Sequence) -> bool:
    return left.pair == right.pair and all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for name in ("ids", "labels", "segments")
    )


def test_a_text_stands_between_cls_and_sep(
    text_shards: Shards, base_vocabulary: Vocabulary
) -> None:
    source = sequences(text_shards, base_vocabulary, Corruption())
    runs = {tuple(run.ids.tolist()) for run in text_shards.runs(WIDTH - 2)}
    for each in make(source, list(range(source.count))):
        first, *inside, last = restored(each).tolist()
        assert (first, last) == (base_vocabulary.cls, base_vocabulary.sep)
        assert tuple(inside) in runs
        assert not each.segments.any()
        assert each.pair == -100


@pytest.mark.parametrize("pairing", ["nsp", "sop"])
def test_a_pair_is_two_segments_that_end_with_sep_each(
    text_shards: Shards, base_vocabulary: Vocabulary, pairing: str
) -> None:
    source = sequences(text_shards, base_vocabulary, Corruption(pairing=pairing))
    runs = {tuple(run.ids.tolist()) for run in text_shards.runs(WIDTH - 3)}
    labels = []
    for each in make(source, list(range(source.count))):
        text, (border, end) = restored(each), np.flatnonzero(each.ids == base_vocabulary.sep)
        assert end == len(each.ids) - 1
        assert each.ids[0] == base_vocabulary.cls
        # Token types as Hugging Face's: 0 to the first [SEP], then 1.
        assert each.segments.tolist() == [0] * (border + 1) + [1] * (end - border)
        a, b = tuple(text[1:border].tolist()), tuple(text[border + 1 : end].tolist())
        assert (each.pair == -100) == (not b)
        if each.pair == 0:
            assert is_inside(a + b, runs), "0 is for what follows"
        if each.pair == 1 and pairing == "sop":
            assert is_inside(b + a, runs)
        labels.append(each.pair)
    asked = [label for label in labels if label != -100]
    assert len(asked) > 100
    assert 0.35 < np.mean(asked) < 0.65


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("masking", sorted(MASKINGS))
def test_nothing_is_asked_of_special_tokens(
    text_shards: Shards, base_vocabulary: Vocabulary, masking: str, pairing: str | None
) -> None:
    corruption = Corruption(masking=masking, pairing=pairing, rates=Rates(chosen=0.6))
    source = sequences(text_shards, base_vocabulary, corruption)
    asked = 0
    for each in make(source, list(range(source.count))):
        chosen = each.labels != -100
        assert not base_vocabulary.special[each.labels[chosen]].any()
        assert each.ids[0] == base_vocabulary.cls
        assert each.ids[-1] == base_vocabulary.sep
        assert len(each.ids) == len(each.labels) == len(each.segments) <= WIDTH
        asked += int(chosen.sum())
    assert asked > 1000


def test_an_epoch_holds_each_run_once(text_shards: Shards, base_vocabulary: Vocabulary) -> None:
    source = sequences(text_shards, base_vocabulary, Corruption())
    runs = text_shards.runs(WIDTH - 2)
    expected = sorted(run.ids.tolist() for run in runs)
    orders = []
    for epoch in range(2):
        positions = list(range(epoch * len(runs), (epoch + 1) * len(runs)))
        found = [restored(each)[1:-1].tolist() for each in make(source, positions)]
        assert sorted(found) == expected
        orders.append(found)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_a_position_alone_decides(
    text_shards: Shards, base_vocabulary: Vocabulary, pairing: str | None
) -> None:
    source = sequences(text_shards, base_vocabulary, Corruption(pairing=pairing))
    together = make(source, list(range(60)))
    again = sequences(text_shards, base_vocabulary, Corruption(pairing=pairing))
    for position in (59, 3, 17, 0):
        assert same(make(again, [position])[0], together[position])
    other = make(
        sequences(text_shards, base_vocabulary, Corruption(pairing=pairing), 6), list(range(60))
    )
    assert not all(same(*each) for each in zip(together, other, strict=True))


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_a_cut_piece_is_the_beginning_of_its_sequence(
    text_shards: Shards, base_vocabulary: Vocabulary, pairing: str | None
) -> None:
    source = sequences(text_shards, base_vocabulary, Corruption(pairing=pairing, rates=LITTLE))
    long = [
        position
        for position in range(source.count)
        if source.lengths(np.array([position])) == WIDTH
    ]
    for cut in (1, 9, WIDTH - 4):
        for whole, piece in zip(make(source, long), make(source, long, cut), strict=True):
            assert len(piece.ids) == min(len(whole.ids), WIDTH - cut)
            assert piece.ids[-1] == base_vocabulary.sep
            first = int(np.flatnonzero(piece.ids == base_vocabulary.sep)[0])
            assert piece.ids[:first].tolist() == whole.ids[:first].tolist()
            if piece.pair != -100:
                assert piece.pair == whole.pair
                assert piece.segments.sum() > 1, "a label is asked of two segments alone"


def test_duplicates_are_corruptions_taken_in_turn(
    text_shards: Shards, base_vocabulary: Vocabulary
) -> None:
    source = sequences(text_shards, base_vocabulary, Corruption(duplicates=2))
    count = source.count
    seen: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for epoch in range(4):
        for each in make(source, list(range(epoch * count, (epoch + 1) * count))):
            if len(each.ids) == WIDTH:
                seen.setdefault(tuple(restored(each)), []).append(tuple(each.ids))
    alone = [found for found in seen.values() if len(found) == 4]
    assert len(alone) > 50
    for first, second, third, fourth in alone:
        assert (first, second) == (third, fourth)
    assert any(first != second for first, second, _, _ in alone)


def test_without_duplicates_every_epoch_corrupts_anew(
    text_shards: Shards, base_vocabulary: Vocabulary
) -> None:
    source = sequences(text_shards, base_vocabulary, Corruption())
    order = [restored(each).tolist() for each in make(source, list(range(source.count)))]
    later = make(source, list(range(source.count, 2 * source.count)))
    first = {
        tuple(text): each
        for text, each in zip(order, make(source, list(range(source.count))), strict=True)
    }
    changed = [
        not np.array_equal(first[tuple(restored(each))].ids, each.ids)
        for each in later
        if len(each.ids) == WIDTH
    ]
    assert np.mean(changed) > 0.9


@pytest.mark.parametrize(("pairing", "least"), [(None, 5), ("sop", 7)])
def test_a_row_needs_room_for_more_than_special_tokens(pairing: str | None, least: int) -> None:
    corruption = Corruption(pairing=pairing)
    assert room_for(least, corruption) == least - (2 if pairing is None else 3)
    with pytest.raises(ClozeError, match=f"--length {least - 1} .* give {least} or more"):
        room_for(least - 1, corruption)
