"""Held-out lists: what is in them, and nDCG@10 by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.crossencoder.made import made_examples
from training.crossencoder.validation import PLACES, JudgedList, ListValidation
from training.pairs.example import Example
from training.pairs.identity import identity

EXAMPLES = made_examples(40)


def ndcg(made: JudgedList, scores: list[float]) -> float:
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    gains = [float(made.relevant[place]) for place in order[:10]]
    best = sorted(map(float, made.relevant), reverse=True)[:10]

    def dcg(values: list[float]) -> float:
        return sum(value / math.log2(rank + 2) for rank, value in enumerate(values))

    return dcg(gains) / dcg(best)


def test_a_list_has_its_own_passages_and_those_of_others() -> None:
    validation = ListValidation(EXAMPLES)
    everywhere = {text for each in EXAMPLES for text in each.positives}
    for example, made in zip(EXAMPLES, validation.lists, strict=True):
        assert made.query == example.query
        assert len(set(map(identity, made.texts))) == len(made.texts) == PLACES
        relevant = {text for text, each in zip(made.texts, made.relevant, strict=True) if each}
        assert relevant == set(example.positives)
        foreign = set(made.texts) - {*example.positives, *example.negatives}
        assert foreign <= everywhere
        assert set(example.negatives) <= set(made.texts)
    # Not in the order that tells which are relevant.
    firsts = [made.relevant[0] for made in validation.lists]
    assert sum(firsts) < len(firsts) / 2
    assert ListValidation(EXAMPLES).lists == validation.lists


def test_large_and_small_sets_of_passages() -> None:
    words = [f"word {number}" for number in range(60)]
    large = Example(query="q", positives=tuple(words[:30]), negatives=tuple(words[30:]))
    (made,) = ListValidation([large]).lists
    assert sum(made.relevant) == 10
    assert len(made.texts) == PLACES
    both = ListValidation([large, Example(query="r", positives=("WORD 3", "other"))])
    for each in both.lists:
        own = {identity(text) for text in ("word 3", "other")}
        if each.query == "r":
            closed = [identity(text) in own for text in each.texts]
            assert [*map(bool, each.relevant)] == closed


def test_a_query_is_not_held_against_itself() -> None:
    both_ways = (
        Example(query="how to swim", positives=("learning to swim",)),
        Example(query="learning to swim", positives=("How to  swim",)),
        Example(query="c", positives=("stone",)),
    )
    first, second, third = ListValidation(both_ways).lists
    assert set(first.texts) == {"learning to swim", "stone"}
    assert set(second.texts) == {"How to  swim", "stone"}
    assert set(third.texts) == {"stone", "learning to swim", "How to  swim"}


@given(seed=st.integers(0, 1000))
def test_the_figure_by_hand(seed: int) -> None:
    validation = ListValidation(EXAMPLES[:6])
    total = sum(len(made.texts) for made in validation.lists)
    scores = np.random.default_rng(seed).normal(size=total).astype(np.float32)
    expected, start = [], 0
    for made in validation.lists:
        expected.append(ndcg(made, scores[start : start + len(made.texts)].tolist()))
        start += len(made.texts)
    assert validation.judge(scores) == pytest.approx(np.mean(expected))


def test_equal_scores_favour_nobody() -> None:
    validation = ListValidation(EXAMPLES)
    total = sum(len(made.texts) for made in validation.lists)
    # By chance alone a positive among 20 gains about a quarter.
    assert validation.judge(np.zeros(total, np.float32)) < 0.5
    perfect = np.array([each for made in validation.lists for each in made.relevant], np.float32)
    assert validation.judge(perfect) == pytest.approx(1.0)
