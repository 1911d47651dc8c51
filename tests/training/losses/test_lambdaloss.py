"""LambdaLoss against sentence-transformers, and by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.cross_encoder.losses import LambdaLoss

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
from training.losses.lambdaloss import lambda_loss

GRADES = st.sampled_from([0.0, 1.0, 2.0])


def test_a_list_by_hand() -> None:
    scores = torch.tensor([[0.0, 1.0, -1.0]])
    grades = torch.tensor([[1.0, 0.0, 0.0]])
    # The relevant one stands second; the best DCG is 1 / log2(2) = 1.
    discounts = [1 / math.log2(1 + rank) for rank in (1, 2, 3)]
    # Each of the others is one rank away from it.
    bound = discounts[0] - discounts[1]
    above = 10 * bound + discounts[0] - discounts[1]
    below = 10 * bound + discounts[1] - discounts[2]
    expected = (above * math.log2(1 + math.e) + below * math.log2(1 + 1 / math.e)) / 2
    found = lambda_loss(scores, grades, torch.ones_like(grades, dtype=torch.bool))
    assert found.tolist() == pytest.approx([expected])


@given(lists=drawn_lists(targets=GRADES))
def test_a_list_is_sentence_transformers(lists: Lists) -> None:
    # Theirs ranks equal scores as they come.
    width = lists.scores.shape[1]
    scores = lists.scores + torch.arange(width).flip(0) * 1e-2
    for row, mask in enumerate(lists.mask):
        one = Lists(scores[row][mask][None], lists.targets[row][mask][None], mask[mask][None])
        expected = theirs(LambdaLoss(FixedScores()), one)
        found = lambda_loss(scores[row : row + 1], lists.targets[row : row + 1], mask[None])
        assert float(found) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@given(lists=drawn_lists(targets=GRADES))
def test_padding_and_order_never_count(lists: Lists) -> None:
    check_padding(lambda_loss, lists)
    check_order(lambda_loss, lists)


@given(lists=drawn_lists(targets=GRADES, greatest=1e30))
def test_extreme_scores_have_finite_gradients(lists: Lists) -> None:
    check_finite(lambda_loss, lists)


def test_lists_without_unequal_grades_lose_nothing() -> None:
    scores, mask = torch.tensor([[3.0, 1.0], [2.0, 5.0]]), torch.ones(2, 2, dtype=torch.bool)
    losses, gradient = with_gradient(lambda_loss, scores, torch.ones(2, 2), mask)
    assert losses.tolist() == [0.0, 0.0]
    assert not bool(gradient.any())


def test_what_costs_more_ndcg_pulls_harder() -> None:
    """A relevant passage that stands last pushes at the first of the list hardest."""
    scores = torch.tensor([[1.0, 0.9, 0.8, 0.7, 0.6, 0.5]])
    grades = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
    mask = torch.ones_like(scores, dtype=torch.bool)
    _, gradient = with_gradient(lambda_loss, scores, grades, mask)
    assert gradient[0].argmin() == 5
    assert gradient[0, 0] > gradient[0, 1] > 0
