"""Bags of words: weights by hand, and what they can and can't tell."""

import math

import numpy as np
import pytest

from training.probe.words import TfIdf, classify_words, compare_words


def test_weights_by_hand() -> None:
    counted = TfIdf(["the cat", "the dog"])
    rows = counted.features(["the the cat", "Dog", "bird", ""]).toarray()
    # Columns cat, dog, the: of 2 texts 1, 1 and 2 have the word; bird is unknown.
    rare, common = 1 + math.log(3 / 2), 1.0
    the = (1 + math.log(2)) * common
    length = math.hypot(rare, the)
    expected = [[rare / length, 0, the / length], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert rows.tolist() == [pytest.approx(row) for row in expected]


def test_classes_with_words_of_their_own_are_told_apart() -> None:
    rows = [((f"{word} {end}",), label) for word, label in (("good", "1"), ("bad", "0"))
            for end in ("film", "book", "song", "play")]  # fmt: skip
    classes = np.array([int(label) for _, label in rows])
    unseen = [(("good boat",), "1"), (("bad boat",), "0"), (("good",), "0")]
    right = classify_words([rows, rows, unseen], [classes, classes, np.array([1, 0, 0])]).right
    assert right.tolist() == [True, True, False]


def test_pairs_are_compared_by_the_words_they_share() -> None:
    train = [(("a b c d", "e f g h"), "1")]
    test = [(("a b c d", "a b c d"), "5"), (("a b c d", "a b c h"), "3"), (("a b", "g h"), "0")]
    assert compare_words(train, test) == pytest.approx(1)
    backwards = [(texts, str(-float(grade))) for texts, grade in test]
    assert compare_words(train, backwards) == pytest.approx(-1)
