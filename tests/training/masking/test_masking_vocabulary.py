"""What is read from a tokenizer, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models

from indexer.errors import ClozeError
from training.masking import Rates, Vocabulary

NEEDED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def save(folder: Path, vocabulary: dict[str, int], added: list[AddedToken] = []) -> Path:  # noqa: B006
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(added)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def numbered(*tokens: str) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


def test_words_pieces_and_special_tokens_are_told_apart(tmp_path: Path) -> None:
    added = [AddedToken("[NEW]", special=True)]
    found = Vocabulary.of(save(tmp_path, numbered(*NEEDED, "dog", "##s", "#", "!"), added))
    assert (found.size, found.pad, found.cls, found.sep, found.mask) == (10, 0, 2, 3, 4)
    assert found.special.tolist() == [True] * 5 + [False] * 4 + [True]
    assert found.starts_word.tolist() == [True] * 6 + [False] + [True] * 3
    assert found.ordinary.tolist() == [5, 6, 7, 8]


def test_an_id_without_a_token_is_never_drawn(tmp_path: Path) -> None:
    ids = {**numbered(*NEEDED), "dog": 7, "cat": 9}
    found = Vocabulary.of(save(tmp_path, ids))
    assert (found.size, found.ordinary.tolist()) == (10, [7, 9])


def test_special_tokens_are_those_of_transformers(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    pieces = numbered(*NEEDED, "dog", "##s", "!")
    theirs: Any = BertTokenizer(vocab=pieces)
    theirs.save_pretrained(tmp_path)
    found = Vocabulary.of(tmp_path)
    assert found.size == len(theirs)
    assert np.flatnonzero(found.special).tolist() == sorted(theirs.all_special_ids)


def refused(folder: Path) -> str:
    with pytest.raises(ClozeError) as caught:
        Vocabulary.of(folder)
    assert "\n" not in str(caught.value)
    assert str(folder / "tokenizer.json") in str(caught.value)
    return str(caught.value)


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    assert "can't be read" in refused(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    assert "can't be read" in refused(tmp_path)


def test_another_kind_of_tokenizer_is_refused(tmp_path: Path) -> None:
    Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
    assert "is a BPE tokenizer, and pretraining reads WordPiece" in refused(tmp_path)


def test_missing_special_tokens_are_named(tmp_path: Path) -> None:
    assert "has 3 tokens and no [MASK] [SEP]" in refused(
        save(tmp_path, numbered("[PAD]", "[CLS]", "dog"))
    )


def test_a_tokenizer_without_words_is_refused(tmp_path: Path) -> None:
    assert "special tokens alone (5 of 5)" in refused(save(tmp_path, numbered(*NEEDED)))


@pytest.mark.parametrize("chosen", [0, -0.1, 1.01, float("nan")])
def test_a_rate_that_is_no_share_is_refused(chosen: float) -> None:
    with pytest.raises(ClozeError, match=f"a mask rate of {chosen:g} is no share"):
        Rates(chosen=chosen)


@pytest.mark.parametrize(
    ("masked", "random"), [(0.8, 0.3), (-0.1, 0.5), (0.5, -0.1), (float("nan"), 0.1)]
)
def test_shares_of_more_than_all_are_refused(masked: float, random: float) -> None:
    with pytest.raises(ClozeError, match=f"{masked:g} are masked and {random:g} replaced"):
        Rates(masked=masked, random=random)


def test_shares_may_add_up_to_all_of_them() -> None:
    assert Rates(masked=0.9, random=0.1).masked == 0.9
    assert Rates(chosen=1, masked=0, random=1).random == 1
