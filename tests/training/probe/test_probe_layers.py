"""Vectors of every layer in sorted batches, against one text at a time in transformers."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime.precision import Precision, has
from training.probe.layers import FrozenEncoder


@pytest.fixture(scope="module")
def encoder_folder(make_model: Callable[[int], Path]) -> Path:
    return make_model(34)


@pytest.fixture(scope="module")
def texts(documents: Sequence[Document]) -> list[str]:
    """Short and long ones, Chinese ones, and a few that are longer than 64 tokens."""
    return [document.text for document in documents[:40] if document.text.strip()]


def opened(folder: Path, precision: Precision = "fp32") -> FrozenEncoder:
    return FrozenEncoder(find_model(str(folder)), device="cpu", precision=precision, threads=1)


def one_by_one(folder: Path, texts: Sequence[str]) -> tuple[NDArray[np.float32], int, int]:
    """The oracle: the vectors, how many tokens ran and how many texts were cut."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    found, tokens, cut = [], 0, 0
    for text in texts:
        cut += len(tokenizer(text, verbose=False)["input_ids"]) > 64
        inputs = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        tokens += inputs["input_ids"].shape[1]
        with torch.no_grad():
            hidden = model(**inputs, output_hidden_states=True).hidden_states
        found.append(torch.stack([layer[0].mean(0) for layer in hidden]).numpy())
    return np.stack(found, axis=1), tokens, cut


def test_every_layer_is_that_of_a_plain_loop(encoder_folder: Path, texts: list[str]) -> None:
    encoder = opened(encoder_folder)
    found = encoder.vectors(texts)
    expected, tokens, cut = one_by_one(encoder_folder, texts)
    assert found.shape == (3, len(texts), 64) == expected.shape
    assert np.abs(found - expected).max() < 1e-4
    assert (encoder.tokens, encoder.truncated) == (tokens, cut)
    assert cut > 0  # else nothing was cut, and the two could not differ


def test_a_text_has_its_vectors_wherever_it_stands(encoder_folder: Path, texts: list[str]) -> None:
    encoder = opened(encoder_folder)
    order = random.Random(3).sample(range(len(texts)), len(texts))
    straight, shuffled = encoder.vectors(texts), encoder.vectors([texts[each] for each in order])
    assert np.abs(straight[:, order] - shuffled).max() < 1e-4


def test_every_text_is_told_once(encoder_folder: Path, texts: list[str]) -> None:
    told: list[int] = []
    opened(encoder_folder).vectors(texts, told.append)
    assert sum(told) == len(texts)


@pytest.mark.skipif(not has("bf16", "cpu"), reason="this processor has no bf16")
def test_bf16_is_near_fp32(encoder_folder: Path, texts: list[str]) -> None:
    fine, coarse = (opened(encoder_folder, each).vectors(texts) for each in ("fp32", "bf16"))
    cosines = (fine * coarse).sum(2) / np.linalg.norm(fine, axis=2) / np.linalg.norm(coarse, axis=2)
    assert cosines.min() > 0.99
    assert np.abs(fine - coarse).max() > 0  # it did run in another format


def test_a_model_that_diverged_is_refused(make_model: Callable[[int], Path]) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_model(36)
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.1.output.dense.bias"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ClozeError, match="vectors that are not finite"):
        opened(folder).vectors(["a cat"])
