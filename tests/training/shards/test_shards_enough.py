"""Text that isn't worth training on is refused in a line."""

import json
from pathlib import Path

import pytest

from indexer.errors import ClozeError
from training.masking import Vocabulary
from training.shards import Shards
from training.shards.enough import check_enough
from training.shards.writing import write_shards


@pytest.fixture
def vocabulary(tokenizer_folder: Path) -> Vocabulary:
    return Vocabulary.of(tokenizer_folder)


def shards_of(texts: list[str], tokenizer: Path, folder: Path) -> Shards:
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return write_shards([str(path)], tokenizer, home=folder / "shards")


def test_less_text_than_a_batch_is_refused(
    tokenizer_folder: Path, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    shards = shards_of([f"the cat {n}" for n in "abcdefgh"], tokenizer_folder, tmp_path)
    tokens = sum(len(run.ids) for run in shards.runs(100))
    assert 0 < tokens < shards.tokens, "what is held out isn't trained on"
    check_enough(shards, vocabulary, tokens)
    with pytest.raises(ClozeError, match=f"is {tokens} tokens and --batch-tokens {tokens + 1}:"):
        check_enough(shards, vocabulary, tokens + 1)


@pytest.mark.parametrize("unknown", ["\U0001f600", "a" * 300])
def test_a_text_whose_words_the_tokenizer_does_not_know_is_refused(
    tokenizer_folder: Path, vocabulary: Vocabulary, tmp_path: Path, unknown: str
) -> None:
    known = [f"the the the the {letter}" for letter in "abcdefghijkl"]
    few = shards_of([f"{text} {unknown}" for text in known], tokenizer_folder, tmp_path)
    check_enough(few, vocabulary, 1)
    many = shards_of([f"{text} {unknown} {unknown}" for text in known], tokenizer_folder, tmp_path)
    with pytest.raises(ClozeError, match=r"29% of the text's tokens .* at most 20%"):
        check_enough(many, vocabulary, 1)
