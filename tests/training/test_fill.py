"""Masks filled by a random masked language model, against transformers' own pipeline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cloze import app
from indexer.errors import ClozeError
from indexer.models import find_model
from training.fill import MaskFiller, join

ONE = "the quick cat [MASK] on the mountain."
TWO = "A [MASK] bear walks by the [MASK]!"


@pytest.fixture(scope="module")
def masked_model(make_model: Callable[[int], Path]) -> Path:
    """The tiny tokenizer, and a random BERT with the head of a masked language model."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    folder = make_model(31)
    torch.manual_seed(31)
    BertForMaskedLM(BertConfig.from_pretrained(folder)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def filler(masked_model: Path) -> MaskFiller:
    return MaskFiller(find_model(str(masked_model)))


def test_tokens_and_probabilities_are_those_of_the_pipeline(
    filler: MaskFiller, masked_model: Path
) -> None:
    from transformers import pipeline

    theirs: Any = pipeline("fill-mask", model=str(masked_model), device="cpu", top_k=7)
    for text, expected in ((ONE, [theirs(ONE)]), (TWO, theirs(TWO))):
        found = filler.fill(text, 7)
        assert len(found.masks) == len(expected) == text.count("[MASK]")
        for ours, wanted in zip(found.masks, expected, strict=True):
            assert [each.token for each in ours] == [each["token_str"] for each in wanted]
            assert [each.probability for each in ours] == pytest.approx(
                [each["score"] for each in wanted], abs=1e-6
            )


def test_the_whole_vocabulary_is_a_distribution_from_likely_to_unlikely(
    filler: MaskFiller,
) -> None:
    size = filler._model.config.vocab_size
    (found,) = filler.fill(ONE, size).masks
    probabilities = [each.probability for each in found]
    assert len(found) == size
    assert sum(probabilities) == pytest.approx(1, abs=1e-4)
    assert probabilities == sorted(probabilities, reverse=True)
    assert filler.fill(ONE, 3).masks == [found[:3]]


def test_the_sentence_is_the_text_with_the_best_tokens(filler: MaskFiller) -> None:
    found = filler.fill(TWO, 2)
    first, second = (candidates[0].token for candidates in found.masks)
    assert found.text == TWO
    assert found.sentence == join(["A ", " bear walks by the ", "!"], [first, second])
    assert "[MASK]" not in found.sentence


@pytest.mark.parametrize(
    ("parts", "tokens", "expected"),
    [
        (["the ", " sat"], ["cat"], "the cat sat"),
        (["he walk ", " home"], ["##ed"], "he walked home"),
        (["", " and ", ""], ["day", "night"], "day and night"),
        (["a ", " b"], ["##"], "a ## b"),  # a token of its own, not the mark of another
        (["no gap"], [], "no gap"),
    ],
)
def test_tokens_are_put_between_parts(parts: list[str], tokens: list[str], expected: str) -> None:
    assert join(parts, tokens) == expected


def test_a_text_without_a_mask_is_told_how_one_is_written(filler: MaskFiller) -> None:
    with pytest.raises(ClozeError, match=r"no \[MASK\].*put one in"):
        filler.fill("the quick <mask> cat")


def test_a_text_that_is_too_long_is_refused_with_both_numbers(filler: MaskFiller) -> None:
    # 62 words and a mask are 63 tokens, with [CLS] and [SEP] 65; the model has 64 positions.
    with pytest.raises(ClozeError, match=r"has 65 tokens, and .* reads 64"):
        filler.fill("cat " * 62 + "[MASK]")
    assert len(filler.fill("cat " * 61 + "[MASK]").masks) == 1


def test_more_tokens_than_there_are_is_refused(filler: MaskFiller) -> None:
    size = filler._model.config.vocab_size
    with pytest.raises(ClozeError, match=f"--top {size + 1} is more than the {size} tokens"):
        filler.fill(ONE, size + 1)


def test_an_encoder_without_the_head_is_refused(make_model: Callable[[int], Path]) -> None:
    with pytest.raises(ClozeError, match=r"no head that predicts words: \d+ weights .* cls\."):
        MaskFiller(find_model(str(make_model(33))))


def test_a_tokenizer_without_a_mask_is_refused(masked_model: Path, tmp_path: Path) -> None:
    for file in masked_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    with pytest.raises(ClozeError, match="has no mask token"):
        MaskFiller(find_model(str(tmp_path)))


def test_a_pretraining_checkpoint_fills_too(masked_model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertForPreTraining

    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).write_bytes((masked_model / file).read_bytes())
    torch.manual_seed(32)
    BertForPreTraining(BertConfig.from_pretrained(masked_model)).save_pretrained(tmp_path)
    assert len(MaskFiller(find_model(str(tmp_path))).fill(ONE).masks[0]) == 5


def test_the_command_prints_candidates_and_the_sentence(masked_model: Path) -> None:
    def run(*arguments: object) -> str:
        asked = ["fill", str(masked_model), TWO, *map(str, arguments)]
        return CliRunner().invoke(app, asked, catch_exceptions=False).stdout

    printed = json.loads(run("--top", 2, "--json"))
    assert [len(each) for each in printed["masks"]] == [2, 2]
    lines = run("--top", 2).splitlines()
    assert [lines[0], lines[3], lines[6]] == ["mask 1", "mask 2", printed["sentence"]]
    best = printed["masks"][0][0]
    assert lines[1].split() == [f"{best['probability']:.4f}", best["token"]]
