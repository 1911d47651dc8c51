"""InfoNCE against sentence-transformers where no text comes twice, and against numpy."""

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from torch import Tensor
from torch.nn import functional

from training.losses.infonce import infonce

TEMPERATURE = 0.05  # sentence-transformers' scale of 20


def vectors(texts: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(texts, 16, generator=generator), dim=1)


@pytest.mark.parametrize("negatives", [0, 1, 3])
@pytest.mark.parametrize("cached", [False, True])
def test_without_duplicates_it_is_that_of_sentence_transformers(
    negatives: int, cached: bool
) -> None:
    queries = vectors(6, 0).requires_grad_()
    columns = [vectors(6, 1 + number) for number in range(1 + negatives)]
    none = torch.zeros(6, 6 * (1 + negatives), dtype=torch.bool)
    # Its cosine divides by the lengths once more, and so must what the gradient is compared of.
    scores = functional.normalize(queries, dim=1) @ torch.cat(columns).T / TEMPERATURE
    found = infonce(scores, torch.arange(6), none)
    (gradient,) = torch.autograd.grad(found.mean(), queries)
    model = torch.nn.Sequential(torch.nn.Identity())
    if cached:
        peer = CachedMultipleNegativesRankingLoss(model, mini_batch_size=4)  # type: ignore[arg-type]
        expected = peer.calculate_loss([[queries], *([each] for each in columns)])
    else:
        expected = MultipleNegativesRankingLoss(model).compute_loss_from_embeddings(  # type: ignore[arg-type]
            [queries, *columns], torch.empty(0)
        )
    (wanted,) = torch.autograd.grad(expected, queries)
    torch.testing.assert_close(found.mean(), expected)
    torch.testing.assert_close(gradient, wanted)


def test_excluded_candidates_have_no_share() -> None:
    """Two queries with one positive, a third whose second positive is there too."""
    scores = vectors(3, 4) @ vectors(4, 5).T / TEMPERATURE
    positives = torch.tensor([0, 0, 1])
    excluded = torch.zeros(3, 4, dtype=torch.bool)
    excluded[2, 3] = True
    found = infonce(scores, positives, excluded)
    for query, (positive, candidates) in enumerate([(0, [0, 1, 2, 3])] * 2 + [(1, [0, 1, 2])]):
        row = scores[query].double().numpy()
        expected = np.log(np.exp(row[candidates]).sum()) - row[positive]
        assert found[query].item() == pytest.approx(expected, abs=1e-5)


def test_what_is_excluded_gets_no_gradient_and_extremes_stay_finite() -> None:
    scores = torch.tensor([[2e4, -2e4, 3e4]], requires_grad=True)
    excluded = torch.tensor([[False, False, True]])
    loss = infonce(scores, torch.tensor([1]), excluded)
    (gradient,) = torch.autograd.grad(loss.sum(), scores)
    assert loss.item() == pytest.approx(4e4)
    assert gradient.tolist() == [[1.0, -1.0, 0.0]]
