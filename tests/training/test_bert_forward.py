"""BERT's forward and backward pass on packed rows, against Hugging Face's, a text at a time."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from transformers import BertForPreTraining

from tests.training.small import gradients, small_bert, texts_of
from training.attention import attention
from training.bert import Inputs, attention_mask, encode

SIZE = 100
WIDTH = 24


@pytest.fixture(scope="module")
def bert() -> BertForPreTraining:
    return small_bert(SIZE)


@st.composite
def lengths(draw: st.DrawFn) -> list[int]:
    """The lengths of one row's sequences."""
    found: list[int] = []
    while (left := WIDTH - sum(found)) and len(found) < 5:
        found.append(draw(st.integers(1, left)))
    return found if draw(st.booleans()) or len(found) == 1 else found[:-1]


PACKINGS = st.lists(lengths(), min_size=1, max_size=4)


def packed(packing: list[list[int]], seed: int = 0) -> Inputs:
    """Rows of random sequences of these lengths; what stands in padding is random too."""
    torch.manual_seed(seed)
    shape = len(packing), WIDTH
    ids, segments = torch.randint(1, SIZE, shape), torch.randint(0, 2, shape)
    positions, sequences = torch.randint(0, 64, shape), torch.zeros(shape, dtype=torch.int64)
    for row, row_lengths in enumerate(packing):
        start = 0
        for number, length in enumerate(row_lengths, 1):
            place = row, slice(start, start + length)
            positions[place], sequences[place] = torch.arange(length), number
            start += length
    return Inputs(ids=ids, positions=positions, segments=segments, sequences=sequences)


def alone(bert: BertForPreTraining, inputs: Inputs) -> Iterator[tuple[slice, Tensor]]:
    """Each sequence's places, and what Hugging Face's model makes of it alone."""
    for places, (ids, segments) in texts_of(inputs):
        found = bert.bert(input_ids=ids[None], token_type_ids=segments[None])
        yield places, found.last_hidden_state[0]


@settings(max_examples=25)
@given(PACKINGS, st.integers(0, 2**16))
def test_each_packed_text_is_as_alone(
    bert: BertForPreTraining, packing: list[list[int]], seed: int
) -> None:
    inputs = packed(packing, seed)
    with torch.no_grad():
        found = encode(bert.bert, inputs, torch.float32).flatten(0, 1)
        for places, expected in alone(bert, inputs):
            torch.testing.assert_close(found[places], expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=8)
@given(PACKINGS, st.integers(0, 2**16))
def test_gradients_of_packed_texts_are_those_of_each_alone(
    bert: BertForPreTraining, packing: list[list[int]], seed: int
) -> None:
    inputs = packed(packing, seed)
    weights = torch.randn(len(packing) * WIDTH, 32)

    bert.zero_grad()
    real = (inputs.sequences > 0).flatten()
    (encode(bert.bert, inputs, torch.float32).flatten(0, 1) * weights)[real].sum().backward()
    found = gradients(bert)

    bert.zero_grad()
    sum((hidden * weights[places]).sum() for places, hidden in alone(bert, inputs)).backward()  # type: ignore[union-attr]
    expected = gradients(bert)

    assert set(found) == set(expected)
    assert "bert.embeddings.word_embeddings.weight" in found
    for name, gradient in expected.items():
        scale = max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(found[name] / scale, gradient / scale, atol=2e-5, rtol=1e-4)


def test_rows_that_are_one_text_each_need_no_mask(bert: BertForPreTraining) -> None:
    inputs = packed([[WIDTH], [WIDTH]])
    assert attention_mask(inputs.sequences, torch.float32) is None
    expected = bert.bert(input_ids=inputs.ids, token_type_ids=inputs.segments).last_hidden_state
    found = encode(bert.bert, inputs, torch.float32)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_mask_parts_exactly_the_sequences() -> None:
    mask = attention_mask(torch.tensor([[1, 1, 2, 0]]), torch.float32)
    assert mask is not None
    assert mask.shape == (1, 1, 4, 4)
    far = float("-inf")
    assert mask[0, 0].tolist() == [
        [0, 0, far, far], [0, 0, far, far], [far, far, 0, far], [far, far, far, 0],
    ]  # fmt: skip


def test_what_stands_in_padding_changes_nothing(bert: BertForPreTraining) -> None:
    inputs = packed([[7, 9], [20]], seed=1)
    other = packed([[7, 9], [20]], seed=2)
    real = inputs.sequences > 0
    mixed = Inputs(
        sequences=inputs.sequences,
        **{
            name: torch.where(real, getattr(inputs, name), getattr(other, name))
            for name in ("ids", "positions", "segments")
        },
    )
    assert not torch.equal(mixed.ids, inputs.ids)
    with torch.no_grad():
        before, after = (encode(bert.bert, each, torch.float32) for each in (inputs, mixed))
    assert torch.equal(before[real], after[real])


def test_bf16_products_stay_close_to_float32(bert: BertForPreTraining) -> None:
    inputs = packed([[10, 14], [24], [5, 6, 7]])
    real = (inputs.sequences > 0).unsqueeze(-1)
    found: dict[torch.dtype, tuple[Tensor, dict[str, Tensor]]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        bert.zero_grad()
        hidden = encode(bert.bert, inputs, dtype)
        assert hidden.dtype == torch.float32
        (hidden.square() * torch.linspace(0, 1, 32) * real).sum().backward()
        found[dtype] = hidden.detach()[real.squeeze(-1)], gradients(bert)
    (exact, exact_gradients), (close, close_gradients) = found.values()
    # A norm's output is of size 1, bf16 keeps 8 bits of it.
    assert float((exact - close).abs().max()) < 0.1
    assert float((exact - close).abs().mean()) < 0.02
    for name, gradient in exact_gradients.items():
        if gradient.norm() > 1e-3:  # keys' biases have none but for rounding
            likeness = functional.cosine_similarity(
                gradient.flatten(), close_gradients[name].flatten(), dim=0
            )
            assert likeness > 0.99, name


def of_sdpa(projected: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    """The same by torch's own attention."""
    rows, length, width = projected.shape
    q, k, v = (
        part.view(rows, length, heads, -1).transpose(1, 2)
        for part in projected.split(width // 3, -1)
    )
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return mixed.transpose(1, 2).reshape(rows, length, width // 3)


SHAPES = [(1, 1, 1, 2), (1, 5, 1, 3), (2, 4, 1, 2), (1, 6, 3, 2), (3, 4, 2, 3)]
masked = pytest.mark.parametrize("with_mask", [False, True])
shapes = pytest.mark.parametrize(("rows", "length", "heads", "size"), SHAPES)


def example(
    rows: int, length: int, heads: int, size: int, with_mask: bool
) -> tuple[Tensor, Tensor | None]:
    torch.manual_seed(rows * 100 + length)
    projected = torch.randn(rows, length, 3 * heads * size, dtype=torch.float64)
    numbers = torch.randint(1, 3, (rows, length)).sort().values
    mask = attention_mask(numbers, torch.float64) if with_mask else None
    return projected.requires_grad_(), mask


@masked
@shapes
def test_attention_passes_a_check_of_its_gradient(
    rows: int, length: int, heads: int, size: int, with_mask: bool
) -> None:
    projected, mask = example(rows, length, heads, size, with_mask)
    before = projected.detach().clone()
    assert torch.autograd.gradcheck(lambda x: attention(x, mask, heads), (projected,))
    assert torch.equal(projected, before)


@masked
@shapes
def test_attention_is_torchs_own(
    rows: int, length: int, heads: int, size: int, with_mask: bool
) -> None:
    projected, mask = example(rows, length, heads, size, with_mask)
    weights = torch.randn(rows, length, heads * size, dtype=torch.float64)
    results: list[tuple[Tensor, Tensor]] = []
    for function in (attention, of_sdpa):
        projected.grad = None
        mixed = function(projected, mask, heads)
        (mixed * weights).sum().backward()
        assert projected.grad is not None
        results.append((mixed.detach(), projected.grad.clone()))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
