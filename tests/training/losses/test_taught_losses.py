"""MarginMSE and KL against sentence-transformers, and with padding against numpy."""

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss, MarginMSELoss
from torch import Tensor

from training.losses.kl import kl
from training.losses.marginmse import marginmse


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def student(queries: Tensor, columns: list[Tensor]) -> Tensor:
    return torch.stack([(queries * each).sum(1) for each in columns], dim=1)


@pytest.mark.parametrize("negatives", [1, 4])
def test_margins_are_those_of_sentence_transformers(negatives: int) -> None:
    queries = random(5, 8, seed=0).requires_grad_()
    columns = [random(5, 8, seed=1 + number) for number in range(1 + negatives)]
    teacher = 5 * random(5, 1 + negatives, seed=9)
    every = torch.ones(5, 1 + negatives, dtype=torch.bool)
    found = marginmse(student(queries, columns), teacher, every).mean()
    peer = MarginMSELoss(torch.nn.Identity())  # type: ignore[arg-type]
    expected = peer.compute_loss_from_embeddings([queries, *columns], teacher)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        *(torch.autograd.grad(each, queries)[0] for each in (found, expected))
    )


@pytest.mark.parametrize("negatives", [1, 4])
def test_divergence_is_that_of_sentence_transformers(negatives: int) -> None:
    queries = random(5, 8, seed=0).requires_grad_()
    columns = [random(5, 8, seed=1 + number) for number in range(1 + negatives)]
    teacher = 3 * random(5, 1 + negatives, seed=9)
    every = torch.ones(5, 1 + negatives, dtype=torch.bool)
    found = kl(student(queries, columns), teacher, every).mean()
    peer = DistillKLDivLoss(torch.nn.Identity())  # type: ignore[arg-type]
    expected = peer.compute_loss_from_embeddings([queries, *columns], teacher)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        *(torch.autograd.grad(each, queries)[0] for each in (found, expected))
    )


def test_padding_counts_nowhere() -> None:
    scores, teacher = random(3, 4, seed=1).double(), random(3, 4, seed=2).double()
    counted = torch.tensor([[True] * 4, [True, True, True, False], [True, True, False, False]])
    margins, divergences = (each(scores, teacher, counted) for each in (marginmse, kl))
    for query, width in enumerate((4, 3, 2)):
        own, wanted = scores[query, :width].numpy(), teacher[query, :width].numpy()
        squares = ((own[0] - own[1:]) - (wanted[0] - wanted[1:])) ** 2
        assert margins[query].item() == pytest.approx(squares.mean())
        shares, taught = (np.exp(each) / np.exp(each).sum() for each in (own, wanted))
        assert divergences[query].item() == pytest.approx((taught * np.log(taught / shares)).sum())


@pytest.mark.parametrize("loss", [marginmse, kl])
def test_gradients_are_numbers_and_nothing_is_asked_of_padding(loss: object) -> None:
    assert callable(loss)
    scores = torch.tensor([[900.0, -900.0, 77.0], [0.0, 0.0, 0.0]], requires_grad=True)
    teacher = torch.tensor([[-800.0, 800.0, 5.0], [1.0, 1.0, 1.0]])
    counted = torch.tensor([[True, True, False], [True, True, True]])
    losses = loss(scores, teacher, counted)
    (gradient,) = torch.autograd.grad(losses.sum(), scores)
    assert torch.isfinite(losses).all() and torch.isfinite(gradient).all()
    assert gradient[0, 2] == 0
    assert losses[0].item() > 0 and losses[1].item() == pytest.approx(0)
