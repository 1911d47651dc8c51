"""nDCG@10 of held-out queries, by its formula and numpy."""

from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.models import find_model
from tests.conftest import WORDS
from training.finetuning.encoder import TextEncoder
from training.finetuning.validation import Validation
from training.pairs.example import Example

HELD_OUT = (
    Example(query="red fox", positives=("a red fox", "foxes are red"), negatives=("a blue sea",)),
    Example(query="blue sea", positives=("the sea is blue",), negatives=("a blue boat",)),
)
TRAINING = tuple(
    Example(query=word, positives=(f"{word} and {word}", f"no {word}")) for word in WORDS[:40]
)


def expected_ndcg(scores: np.ndarray, relevant: list[set[int]]) -> float:
    values = []
    for row, wanted in zip(scores, relevant, strict=True):
        ranked = sorted(range(len(row)), key=lambda place: (-row[place], place))[:10]
        gain = sum(1 / np.log2(rank + 2) for rank, place in enumerate(ranked) if place in wanted)
        values.append(gain / sum(1 / np.log2(rank + 2) for rank in range(min(10, len(wanted)))))
    return float(np.mean(values))


def test_passages_are_those_of_the_held_out_and_then_of_training() -> None:
    validation = Validation(HELD_OUT, TRAINING, 8)
    own = ["a red fox", "foxes are red", "a blue sea", "the sea is blue", "a blue boat"]
    # Of 40, three that aren't beside each other: files follow each other in them.
    assert validation._passages == [*own, *(TRAINING[each].positives[0] for each in (0, 13, 26))]
    # Those of the held-out queries are never left out.
    assert Validation(HELD_OUT, TRAINING, 2)._passages == own


def test_texts_that_differ_in_case_and_blanks_are_one_passage() -> None:
    other = Example(query="sea", positives=("The  SEA is blue", "waves"), negatives=("A Red fox",))
    validation = Validation((*HELD_OUT, other), (), 0)
    own = ["a red fox", "foxes are red", "a blue sea", "the sea is blue", "a blue boat", "waves"]
    assert validation._passages == own
    perfect = np.zeros((3, 6), np.float32)
    perfect[0, [0, 1]] = perfect[1, 3] = perfect[2, [3, 5]] = 1
    assert validation.judge(perfect) == 1.0


def test_more_negatives_take_no_more_time() -> None:
    many = Example(query="q", positives=("p",), negatives=tuple(f"n{each}" for each in range(40)))
    assert Validation((many,), (), 0)._passages == ["p", "n0", "n1", "n2", "n3", "n4"]


def test_figures_are_ndcg_by_hand() -> None:
    validation = Validation(HELD_OUT, TRAINING, 30)
    scores = np.random.default_rng(3).random((2, 30), np.float32)
    scores[0, [4, 7]] = scores[0, 0]
    assert validation.judge(scores) == pytest.approx(expected_ndcg(scores, [{0, 1}, {3}]))
    perfect = np.zeros((2, 30), np.float32)
    perfect[0, [0, 1]] = perfect[1, 3] = 1
    assert validation.judge(perfect) == 1.0


def test_an_encoder_is_judged_by_its_cosines_whole_and_cut(sentence_folder: Path) -> None:
    encoder = TextEncoder(
        find_model(str(sentence_folder)), pooling=None, length=48, dtype=torch.float32,
        device="cpu",
    )  # fmt: skip
    validation = Validation(HELD_OUT, TRAINING, 40)
    found = validation.run(encoder, (32, 4))
    passages = encoder.encode(encoder.documents(validation._passages)).numpy()
    queries = encoder.encode(encoder.queries([each.query for each in HELD_OUT])).numpy()
    assert found.keys() == {"ndcg@10", "ndcg@10/4"}
    for name, width in (("ndcg@10", 32), ("ndcg@10/4", 4)):
        left, right = (
            each[:, :width] / np.linalg.norm(each[:, :width], axis=1, keepdims=True)
            for each in (queries, passages)
        )
        assert found[name] == pytest.approx(expected_ndcg(left @ right.T, [{0, 1}, {3}]))
