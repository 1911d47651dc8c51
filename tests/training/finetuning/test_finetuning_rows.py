"""Packed texts: every token once, and each text's vector as if it stood alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling

from indexer.errors import ClozeError
from indexer.models import find_model
from tests.conftest import WORDS
from training.finetuning.encoder import TextEncoder
from training.finetuning.rows import fill, text_rows

TEXTS = [" ".join(WORDS[start : start + 1 + 7 * start % 40]) for start in range(0, 60, 4)]


def encoder_of(folder: Path, pooling: str | None = None, length: int = 48) -> TextEncoder:
    return TextEncoder(
        find_model(str(folder)), pooling=pooling, length=length, dtype=torch.float32, device="cpu"
    )


@given(st.lists(st.integers(1, 32), min_size=1, max_size=60))
def test_filled_rows_hold_each_text_once_and_no_row_too_much(lengths: list[int]) -> None:
    rows = fill(lengths, 32)
    assert sorted(text for row in rows for text in row) == list(range(len(lengths)))
    assert all(sum(lengths[text] for text in row) <= 32 for row in rows)
    # Best fit never leaves two rows that would go into one.
    half_empty = [row for row in rows if 2 * sum(lengths[text] for text in row) <= 32]
    assert len(half_empty) <= 1


def test_best_fit_by_hand() -> None:
    assert fill([5, 9, 3, 10, 7, 6], 16) == [[3, 5], [1, 4], [0, 2]]
    assert fill([4, 4, 4, 4], 8) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("places", [1, 64, 8192])
def test_rows_hold_the_tokens_of_the_texts(sentence_folder: Path, places: int) -> None:
    encodings = encoder_of(sentence_folder).documents(TEXTS)
    lots = text_rows(encodings, places)
    assert sorted(text for lot in lots for text in lot.texts.tolist()) == list(range(len(TEXTS)))
    assert sum(lot.tokens for lot in lots) == sum(len(each) for each in encodings)
    for lot in lots:
        rows, width = lot.inputs.ids.shape
        assert width == lots[0].inputs.ids.shape[1] and width % 16 == 0
        assert rows == 1 or rows * width <= places
        assert int((lot.inputs.sequences > 0).sum()) == lot.tokens
        for text, row, slot, start in zip(
            *(each.tolist() for each in (lot.texts, lot.rows, lot.slots, lot.starts)), strict=True
        ):
            here = slice(start - row * width, start - row * width + len(encodings[text]))
            assert lot.inputs.ids[row, here].tolist() == encodings[text].ids
            assert lot.inputs.positions[row, here].tolist() == list(range(len(encodings[text])))
            assert set(lot.inputs.sequences[row, here].tolist()) == {slot + 1}


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_of_sentence_transformers(sentence_folder: Path, pooling: str) -> None:
    ours = encoder_of(sentence_folder, pooling)
    peer = SentenceTransformer(str(sentence_folder), device="cpu", local_files_only=True)
    peer[1] = Pooling(32, pooling_mode=pooling)
    expected = np.asarray(peer.encode(TEXTS))
    assert ours.encode(ours.documents(TEXTS)).numpy() == pytest.approx(expected, abs=1e-5)


def test_a_text_has_one_vector_in_any_company(sentence_folder: Path) -> None:
    encoder = encoder_of(sentence_folder)
    together = encoder.encode(encoder.documents(TEXTS))
    alone = torch.cat([encoder.encode(encoder.documents([text])) for text in TEXTS])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_what_an_encoder_refuses(sentence_folder: Path) -> None:
    with pytest.raises(ClozeError, match="pooling is 'max', and training has mean and cls"):
        encoder_of(sentence_folder, "max")
    with pytest.raises(ClozeError, match=r"--length is 64 and .* reads 48 tokens; give at most"):
        encoder_of(sentence_folder, length=64)


def test_prompts_stand_in_front(sentence_folder: Path, tmp_path: Path) -> None:

    folder = tmp_path / "prompted"
    shutil.copytree(sentence_folder, folder)
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "find: ", "document": "text: "}})
    )
    plain, prompted = encoder_of(sentence_folder), encoder_of(folder)
    assert prompted.queries(["a fox"])[0].ids == plain.queries(["find: a fox"])[0].ids
    assert prompted.documents(["a fox"])[0].ids == plain.documents(["text: a fox"])[0].ids
    assert plain.queries(["a fox"])[0].ids == plain.documents(["a fox"])[0].ids
