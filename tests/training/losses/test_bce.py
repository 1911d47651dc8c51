"""Binary cross-entropy against sentence-transformers, and by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

from tests.training.losses.listwise import (
    FixedScores,
    Lists,
    check_finite,
    check_order,
    check_padding,
    drawn_lists,
)
from training.losses.bce import bce_loss

LABELS = st.sampled_from([0.0, 1.0])


def test_a_list_by_hand() -> None:
    scores = torch.tensor([[2.0, 0.0, 9.0], [-1.0, 9.0, 9.0]])
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    first = (-math.log(1 / (1 + math.exp(-2))) + math.log(2)) / 2
    second = -math.log(1 - 1 / (1 + math.exp(1)))
    assert bce_loss(scores, labels, mask).tolist() == pytest.approx([first, second])


@given(lists=drawn_lists(targets=LABELS))
def test_full_lists_are_sentence_transformers(lists: Lists) -> None:
    loss = BinaryCrossEntropyLoss(FixedScores())
    scores, labels = lists.scores.flatten(), lists.targets.flatten()
    expected = loss([[""] * len(scores), [repr(each) for each in scores.tolist()]], labels)
    everything = torch.ones_like(lists.mask)
    found = bce_loss(lists.scores, lists.targets, everything).mean()
    assert float(found) == pytest.approx(float(expected), rel=1e-5, abs=1e-7)


@given(lists=drawn_lists(targets=LABELS))
def test_padding_and_order_never_count(lists: Lists) -> None:
    check_padding(bce_loss, lists)
    check_order(bce_loss, lists)


@given(lists=drawn_lists(targets=LABELS, greatest=1e30))
def test_extreme_scores_have_finite_gradients(lists: Lists) -> None:
    check_finite(bce_loss, lists)
