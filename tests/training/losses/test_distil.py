"""Distillation of differences against sentence-transformers and a loop over all pairs."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.cross_encoder.losses import MarginMSELoss

from tests.training.losses.listwise import (
    Lists,
    check_finite,
    check_order,
    check_padding,
    drawn_lists,
    with_gradient,
)
from training.losses.distil import distil_loss

TEACHER = st.integers(-20, 20).map(lambda each: each / 4)


class Logits(MarginMSELoss):
    """Theirs, each text being its own score."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.loss_fct = torch.nn.MSELoss()

    def logits_from_pairs(
        self, pairs: list[tuple[str, str]], prompt: str | None = None, task: str | None = None
    ) -> torch.Tensor:
        return torch.tensor([float(text) for _, text in pairs])


@given(lists=drawn_lists(targets=TEACHER))
def test_all_pairs_one_by_one(lists: Lists) -> None:
    expected = []
    for scores, teacher, mask in zip(lists.scores, lists.targets, lists.mask, strict=True):
        s, t = scores[mask].double().numpy(), teacher[mask].double().numpy()
        pairs = list(combinations(range(len(s)), 2))
        squares = [((s[i] - s[j]) - (t[i] - t[j])) ** 2 for i, j in pairs]
        expected.append(np.mean(squares) if pairs else 0.0)
    found = distil_loss(lists.scores, lists.targets, lists.mask)
    assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@given(rows=st.lists(st.tuples(TEACHER, TEACHER, TEACHER, TEACHER), min_size=1, max_size=5))
def test_lists_of_two_are_sentence_transformers(rows: list[tuple[float, ...]]) -> None:
    drawn = torch.tensor(rows)
    scores, teacher = drawn[:, :2], drawn[:, 2:]
    positives, negatives = ([repr(each) for each in column.tolist()] for column in scores.T)
    loss = Logits()
    expected = float(loss([[""] * len(rows), positives, negatives], teacher))
    found = distil_loss(scores, teacher, torch.ones_like(scores, dtype=torch.bool))
    assert float(found.mean()) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(lists=drawn_lists(targets=TEACHER))
def test_a_constant_apart_is_at_rest(lists: Lists) -> None:
    _, gradient = with_gradient(distil_loss, lists.targets - 7.0, lists.targets, lists.mask)
    assert float(gradient.abs().max()) < 1e-5


@given(lists=drawn_lists(targets=TEACHER))
def test_padding_and_order_never_count(lists: Lists) -> None:
    check_padding(distil_loss, lists)
    check_order(distil_loss, lists)


@given(lists=drawn_lists(targets=TEACHER, greatest=1e15))
def test_extreme_scores_have_finite_gradients(lists: Lists) -> None:
    check_finite(distil_loss, lists)
