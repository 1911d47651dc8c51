"""What a batch holds: texts once each, masks by hand, and draws that the seed alone decides."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from indexer.models import find_model
from training.biencoder.batch import ask, distinct
from training.biencoder.batches import Batches, Draws, Size
from training.biencoder.drawing import draw
from training.finetuning.encoder import TextEncoder
from training.loop.parts import Part
from training.pairs.example import Example

MANY = Example(
    query="q", positives=("p0", "p1", "p2"), negatives=("n0", "n1", "n2", "n3"),
    scores=(10.0, 11.0, 12.0, 0.0, 1.0, 2.0, 3.0),
)  # fmt: skip


def test_masks_by_hand() -> None:
    """The first query's other positive comes with the second; the third spells it otherwise."""
    batch = [
        Example(query="a", positives=("One text", "two"), negatives=("three",)),
        Example(query="b", positives=("two",)),
        Example(query="c", positives=("four",), negatives=("ONE  text", "two")),
        Example(query="d", positives=("two", "five")),
    ]
    drawn = [draw(each, 5, seed=0, epoch=0, number=number) for number, each in enumerate(batch)]
    drawn = [
        type(each)(example=each.example, positive=0, negatives=each.negatives) for each in drawn
    ]
    documents, own = distinct(drawn)
    assert documents == ["One text", "three", "two", "four"]
    assert own == [[0, 1], [2], [3, 0, 2], [2]]
    asked = ask(drawn, documents, own)
    assert asked.positives.tolist() == [0, 2, 3, 2]
    # Of each query, what is no candidate: the first query's "two", which it has as a positive.
    assert asked.excluded.nonzero().tolist() == [[0, 2]]
    assert asked.own.tolist() == [[0, 1, 0], [2, 2, 2], [3, 0, 2], [2, 2, 2]]
    assert asked.counted.sum(1).tolist() == [2, 1, 3, 1]
    assert asked.teacher is None


def test_draws_take_each_positive_and_negative_alike_with_its_score() -> None:
    seen = [draw(MANY, 2, seed=7, epoch=epoch, number=5) for epoch in range(600)]
    positives = Counter(each.texts[0] for each in seen)
    negatives = Counter(text for each in seen for text in each.texts[1:])
    assert set(positives) == set(MANY.positives) and set(negatives) == set(MANY.negatives)
    assert min(positives.values()) > 150 and min(negatives.values()) > 240
    scores = dict(zip((*MANY.positives, *MANY.negatives), MANY.scores or (), strict=True))
    for each in seen[:20]:
        assert each.scores == tuple(scores[text] for text in each.texts)
        assert each.negatives == tuple(sorted(set(each.negatives)))
        shown = each.shown
        assert shown.positives[0] == each.texts[0] and shown.negatives == each.texts[1:]
        assert sorted(shown.positives) == sorted(MANY.positives)
        assert shown.scores == tuple(scores[text] for text in (*shown.positives, *shown.negatives))
    again = [draw(MANY, 2, seed=7, epoch=epoch, number=5) for epoch in range(600)]
    assert again == seen
    assert [draw(MANY, 2, seed=8, epoch=epoch, number=5) for epoch in range(600)] != seen


def test_an_epoch_takes_every_example_once(examples: tuple[Example, ...]) -> None:
    draws = Draws(examples, Size(batch=8, negatives=2), seed=1)
    epochs = [
        [each.example.query for start in range(begin, begin + 40, 8) for each in draws[start]]
        for begin in (0, 40)
    ]
    for epoch in epochs:
        assert sorted(epoch) == sorted(each.query for each in examples)
    assert epochs[0] != epochs[1]
    assert [each.example.query for each in draws[3]] == epochs[0][3:11]


@pytest.mark.parametrize("world", [1, 3])
def test_processes_share_the_texts_of_one_batch(
    examples: tuple[Example, ...], sentence_folder: Path, world: int
) -> None:
    encoder = TextEncoder(
        find_model(str(sentence_folder)), pooling=None, length=32, dtype=torch.float32,
        device="cpu",
    )  # fmt: skip
    draws = Draws(examples, Size(batch=8, negatives=2), seed=1)
    batches = Batches(draws, encoder, name="infonce")
    parts = [batches.make(16, Part(rank=rank, world=world), 512) for rank in range(world)]
    documents, _ = distinct(draws[16])
    texts = [*(each.example.query for each in draws[16]), *documents]
    for each in parts:
        assert (each.texts, each.queries, each.position) == (len(texts), 8, 24)
        assert each.tokens == parts[0].tokens
        assert each.name == "examples 16 to 23"
        for place, encoding in zip(each.own, each.packing.encodings, strict=True):
            assert encoding.ids == encoder.documents([texts[place]])[0].ids
    assert sorted(place for each in parts for place in each.own) == list(range(len(texts)))
    assert sum(each.counts["infonce"] for each in parts) == 8
    tokens = sum(rows.tokens for each in parts for rows in each.packing.rows)
    assert tokens == parts[0].tokens
    lots = [len(each.own) for each in parts]
    assert max(lots) - min(lots) <= 1
