"""What every loss of lists must hold, and lists to hold it on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from sentence_transformers import CrossEncoder
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Lists:
    """Scores, targets and what counts of them, [lists, items] each."""

    scores: Tensor
    targets: Tensor
    mask: Tensor


@st.composite
def drawn_lists(
    draw: st.DrawFn, *, targets: st.SearchStrategy[float], greatest: float = 30.0
) -> Lists:
    """Lists of 1 to 6 items, padded to the longest and further."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    width = max(sizes) + draw(st.integers(0, 2))
    # Few different ones, so that there are equal scores.
    scores = st.integers(-8, 8).map(lambda each: each * greatest / 8)

    def rows(values: st.SearchStrategy[float]) -> Tensor:
        row = st.lists(values, min_size=width, max_size=width)
        return torch.tensor([draw(row) for _ in sizes], dtype=torch.float32)

    mask = torch.arange(width) < torch.tensor(sizes).unsqueeze(1)
    return Lists(rows(scores), rows(targets), mask)


def check_padding(loss: Loss, lists: Lists) -> None:
    """What stands in padding changes neither loss nor gradient, though it be no number."""
    spoiled = [
        each.masked_fill(~lists.mask, float("nan")) for each in (lists.scores, lists.targets)
    ]
    expected = with_gradient(loss, lists.scores, lists.targets, lists.mask)
    found = with_gradient(loss, spoiled[0], spoiled[1], lists.mask)
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other)
    for row, size in enumerate(lists.mask.sum(1).tolist()):
        alone = loss(
            lists.scores[row : row + 1, :size], lists.targets[row : row + 1, :size],
            lists.mask[row : row + 1, :size],
        )  # fmt: skip
        torch.testing.assert_close(expected[0][row], alone[0])


def check_order(loss: Loss, lists: Lists) -> None:
    """The order of a list's items doesn't count."""
    order = torch.arange(lists.scores.shape[1]).flip(0).roll(1)
    moved = (each[:, order] for each in (lists.scores, lists.targets, lists.mask))
    torch.testing.assert_close(
        loss(lists.scores, lists.targets, lists.mask), loss(*moved), atol=1e-5, rtol=1e-5
    )


def check_finite(loss: Loss, lists: Lists) -> None:
    """Losses and gradients are numbers, and nothing pulls at padding."""
    losses, gradient = with_gradient(loss, lists.scores, lists.targets, lists.mask)
    assert bool(losses.isfinite().all())
    assert bool((losses >= 0).all())
    assert bool(gradient.isfinite().all())
    assert not bool(gradient[~lists.mask].any())


def with_gradient(
    loss: Loss, scores: Tensor, targets: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """The losses, and the gradient of their sum by the scores."""
    leaf = scores.clone().requires_grad_()
    losses = loss(leaf, targets, mask)
    losses.sum().backward()
    assert leaf.grad is not None
    return losses.detach(), leaf.grad


class FixedScores(CrossEncoder):
    """Stands in for a cross-encoder of sentence-transformers: each text is its own score."""

    num_labels = 1
    device = torch.device("cpu")

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def preprocess(self, inputs: Any, prompt: Any = None, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"scores": torch.tensor([float(text) for _, text in inputs])}

    def forward(self, input: dict[str, Tensor], **options: object) -> dict[str, Tensor]:
        return input


def theirs(loss: Any, lists: Lists) -> float:  # noqa: ANN401 - sentence-transformers' losses
    """One of their losses of lists."""
    rows = [mask.nonzero().flatten() for mask in lists.mask]
    texts = [
        [repr(float(lists.scores[row, item])) for item in items] for row, items in enumerate(rows)
    ]
    labels = [lists.targets[row, items] for row, items in enumerate(rows)]
    return float(loss([[""] * len(rows), texts], labels))
