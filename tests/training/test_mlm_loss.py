"""The masked language model's loss at chosen places, against one over the whole text."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import BertForPreTraining

from tests.training.small import gradients, small_bert
from training.objectives.mlm import _VocabularyLoss, mlm_loss, mlm_scores

SIZE = 150
LABELS = torch.full((3, 10), -100)
LABELS[0, 2], LABELS[0, 7], LABELS[2, 0], LABELS[2, 1], LABELS[2, 9] = 4, 149, 0, 30, 30


@pytest.fixture
def bert() -> BertForPreTraining:
    return small_bert(SIZE)


def hidden_states() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 10, 32, requires_grad=True)


def ours(bert: BertForPreTraining, hidden: Tensor, dtype: torch.dtype) -> Tensor:
    asked = LABELS != -100
    return mlm_loss(bert.cls.predictions, hidden[asked], LABELS[asked], dtype)


def test_loss_and_gradients_are_those_of_cross_entropy_over_all_scores(
    bert: BertForPreTraining,
) -> None:
    found, expected = hidden_states(), hidden_states()
    loss = ours(bert, found, torch.float32)
    (loss / 5).backward()
    found_gradients = gradients(bert)
    bert.zero_grad()

    scores = bert.cls.predictions(expected)  # [rows, width, vocabulary]
    reference = functional.cross_entropy(scores.flatten(0, 1), LABELS.flatten())
    reference.backward()

    torch.testing.assert_close(loss / 5, reference)
    assert found.grad is not None
    assert expected.grad is not None
    assert not found.grad[LABELS == -100].any()
    torch.testing.assert_close(found.grad, expected.grad, atol=1e-6, rtol=1e-4)
    expected_gradients = gradients(bert)
    # The embedding is the decoder's weight.
    assert "bert.embeddings.word_embeddings.weight" in expected_gradients
    assert found_gradients.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(found_gradients[name], gradient, atol=1e-6, rtol=1e-4)


def test_scores_are_hugging_faces(bert: BertForPreTraining) -> None:
    hidden = hidden_states()[0]
    found = mlm_scores(bert.cls.predictions, hidden, torch.float32)
    torch.testing.assert_close(found, bert.cls.predictions(hidden), atol=1e-5, rtol=1e-5)


def test_in_bf16_the_loss_is_close_and_float32(bert: BertForPreTraining) -> None:
    exact = ours(bert, hidden_states(), torch.float32)
    bert.zero_grad()
    found = hidden_states()
    close = ours(bert, found, torch.bfloat16)
    close.backward()
    assert close.dtype == torch.float32
    assert close.item() == pytest.approx(exact.item(), rel=0.02)
    weight = bert.bert.embeddings.word_embeddings.weight
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 0.9995])
def test_in_bf16_it_is_no_further_from_float64_than_autocast(share: float) -> None:
    """Also where a label's share is so near 1 that bf16 rounds it to 1."""
    torch.manual_seed(0)
    size = 4000
    words = (0.05 * torch.randn(size, 256)).bfloat16()
    labels = torch.randperm(size)[:48]
    hidden, own = torch.randn(48, 256), words[labels].float()
    for _ in range(30):  # each moved along its label's word until the share is as asked
        scores = hidden @ words.float().t()
        others = scores.scatter(1, labels[:, None], -torch.inf).logsumexp(1)
        missing = others + math.log(share / (1 - share)) - (hidden * own).sum(1)
        hidden += (missing / own.square().sum(1))[:, None] * own
    hidden, bias = hidden.bfloat16(), torch.zeros(size)
    found_share = (hidden.float() @ words.float().t()).softmax(1).gather(1, labels[:, None])
    assert ((1 - found_share) / (1 - share)).log().abs().max() < 0.5
    inputs = hidden, words, bias.bfloat16()

    def judged(loss: Callable[..., Tensor], dtype: torch.dtype) -> list[Tensor]:
        copies = [each.detach().to(dtype, copy=True).requires_grad_() for each in inputs]
        value = loss(*copies)
        value.backward()
        return [value.detach().double(), *(grad_of(each).double() for each in copies)]

    def plain(hidden: Tensor, words: Tensor, bias: Tensor) -> Tensor:
        wide = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        scores = hidden @ words.t() + bias
        return functional.cross_entropy(scores.to(wide), labels, reduction="sum")

    def ours(hidden: Tensor, words: Tensor, bias: Tensor) -> Tensor:
        loss: Tensor = _VocabularyLoss.apply(hidden, words, bias, labels)  # type: ignore[no-untyped-call]
        return loss

    exact = judged(plain, torch.float64)
    autocast, found = judged(plain, torch.bfloat16), judged(ours, torch.bfloat16)
    for name, value, close, wanted in zip(
        ("loss", "hidden", "words", "bias"), found, autocast, exact, strict=True
    ):
        error = float((value - wanted).norm() / wanted.norm())
        bound = float((close - wanted).norm() / wanted.norm())
        assert error < 1.25 * bound + 0.004, name


def grad_of(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_word_held_for_impossible_costs_a_finite_loss(
    bert: BertForPreTraining, dtype: torch.dtype
) -> None:
    with torch.no_grad():
        bert.cls.predictions.bias[4] = -300.0
    hidden = hidden_states()
    loss = mlm_loss(bert.cls.predictions, hidden[0, 2:3], torch.tensor([4]), dtype)
    loss.backward()
    assert 80 < loss.item() < 400
    bias = bert.cls.predictions.bias.grad
    assert bias is not None
    assert float(bias[4]) == -1.0


def test_a_weight_that_is_no_number_makes_a_loss_that_is_none(bert: BertForPreTraining) -> None:
    with torch.no_grad():
        bert.cls.predictions.transform.dense.weight[0, 0] = float("nan")
    assert torch.isnan(ours(bert, hidden_states(), torch.float32))
