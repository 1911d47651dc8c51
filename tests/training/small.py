"""Small models and tasks for the tests of training."""

import torch
from transformers import BertConfig, BertForPreTraining

from training.bert import Inputs
from training.masking import Vocabulary
from training.pretraining import Phase, Pretraining, Size
from training.sequences import Corruption
from training.shards import Shards

# A sequence: the ids of a text, and its segments.
Text = tuple[torch.Tensor, torch.Tensor]


def small_bert(vocabulary: int, seed: int = 0) -> BertForPreTraining:
    """A BERT of 2 layers of 32, weights wide enough that attention matters."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=64, initializer_range=0.1,
    )  # fmt: skip
    model = BertForPreTraining(config)
    model.eval()
    return model


def small_task(
    shards: Shards,
    vocabulary: Vocabulary,
    *,
    widths: tuple[int, ...] = (32,),
    pairing: str | None = None,
    tokens_at_once: int = 4096,
    batch_tokens: int = 256,
    model: BertForPreTraining | None = None,
) -> Pretraining:
    """Pretraining of a small BERT; a second width begins at nine tenths."""
    return Pretraining(
        small_bert(vocabulary.size) if model is None else model,
        shards,
        vocabulary,
        phases=tuple(
            Phase(width=width, begins=begins)
            for width, begins in zip(widths, (0.0, 0.9), strict=False)
        ),
        corruption=Corruption(pairing=pairing),
        size=Size(batch_tokens=batch_tokens, tokens_at_once=tokens_at_once),
        seed=3,
        dtype=torch.float32,
        device="cpu",
    )


def texts_of(inputs: Inputs) -> list[tuple[slice, Text]]:
    """Take packed rows apart: each sequence's places among all, and the sequence."""
    found = []
    width = inputs.ids.shape[1]
    for row, numbers in enumerate(inputs.sequences):
        for number in range(1, int(numbers.max()) + 1):
            places = (numbers == number).nonzero().flatten()
            first, last = int(places[0]), int(places[-1]) + 1
            assert places.tolist() == list(range(first, last))
            text = inputs.ids[row, first:last], inputs.segments[row, first:last]
            found.append((slice(row * width + first, row * width + last), text))
    return found


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The gradients of a model's parameters that have one, dense."""
    return {
        name: each.grad.to_dense().clone()
        for name, each in model.named_parameters()
        if each.grad is not None
    }
