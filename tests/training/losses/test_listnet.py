"""ListNet against sentence-transformers, and by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.cross_encoder.losses import ListNetLoss

from tests.training.losses.listwise import (
    FixedScores,
    Lists,
    check_finite,
    check_order,
    check_padding,
    drawn_lists,
    theirs,
    with_gradient,
)
from training.losses.listnet import listnet_loss

GRADES = st.sampled_from([0.0, 1.0, 5.0])


def test_a_list_by_hand() -> None:
    scores = torch.tensor([[math.log(3.0), 0.0]])
    grades = torch.tensor([[math.log(4.0), 0.0]])
    # Grades say 4/5 and 1/5, scores 3/4 and 1/4.
    expected = -(0.8 * math.log(0.75) + 0.2 * math.log(0.25))
    found = listnet_loss(scores, grades, torch.tensor([[True, True]]))
    assert found.tolist() == pytest.approx([expected])


@given(lists=drawn_lists(targets=GRADES))
def test_lists_are_sentence_transformers(lists: Lists) -> None:
    expected = theirs(ListNetLoss(FixedScores()), lists)
    found = listnet_loss(lists.scores, lists.targets, lists.mask).mean()
    assert float(found) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(lists=drawn_lists(targets=GRADES))
def test_scores_that_differ_as_the_grades_do_are_at_rest(lists: Lists) -> None:
    _, gradient = with_gradient(listnet_loss, lists.targets + 3.0, lists.targets, lists.mask)
    assert float(gradient.abs().max()) < 1e-6


@given(lists=drawn_lists(targets=GRADES))
def test_padding_and_order_never_count(lists: Lists) -> None:
    check_padding(listnet_loss, lists)
    check_order(listnet_loss, lists)


@given(lists=drawn_lists(targets=GRADES, greatest=1e20))
def test_extreme_scores_have_finite_gradients(lists: Lists) -> None:
    check_finite(listnet_loss, lists)
