"""Matryoshka: the sum of a loss over cut vectors of unit length, by numpy."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from training.losses.infonce import infonce
from training.losses.matryoshka import cut, matryoshka


def vectors(texts: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(texts, 8, generator=generator), dim=1)


def loss(queries: Tensor, documents: Tensor) -> Tensor:
    none = torch.zeros(len(queries), len(documents), dtype=torch.bool)
    return infonce(queries @ documents.T / 0.1, torch.arange(len(queries)), none)


def test_it_is_the_sum_over_cut_vectors() -> None:
    queries, documents = vectors(4, 0), vectors(6, 1)
    found = matryoshka(loss, queries, documents, (8, 4, 1))
    expected = np.zeros(4)
    for dimension in (8, 4, 1):
        left, right = (
            each[:, :dimension] / np.linalg.norm(each[:, :dimension], axis=1, keepdims=True)
            for each in (queries.double().numpy(), documents.double().numpy())
        )
        scores = left @ right.T / 0.1
        expected += np.log(np.exp(scores).sum(1)) - scores.diagonal()[:4]
    assert found.numpy() == pytest.approx(expected, rel=1e-4)


def test_whole_vectors_of_unit_length_stay_what_they_are() -> None:
    queries, documents = vectors(4, 0), vectors(6, 1)
    torch.testing.assert_close(cut(queries, 8), queries)
    torch.testing.assert_close(matryoshka(loss, queries, documents, (8,)), loss(queries, documents))
    lengths = cut(queries, 3).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(4))
