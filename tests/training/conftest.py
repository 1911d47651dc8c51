"""A small BERT with both heads, its tokenizer, and the shared documents as token shards."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.training.small import small_bert
from training.masking import Vocabulary
from training.shards import Shards
from training.shards.writing import write_shards


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads on a busy machine wait for each other longer than these models take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base_folder(
    make_model: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A BERT of 2 layers of 32 and 64 positions with the heads of pretraining, as a checkpoint."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = make_model(70)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    small_bert(Vocabulary.of(folder).size).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base_vocabulary(base_folder: Path) -> Vocabulary:
    return Vocabulary.of(base_folder)


@pytest.fixture(scope="session")
def text_shards(
    corpus_file: Path, base_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Shards:
    """The documents that every floor's tests share in shards of 1,500 tokens, a tenth held out."""
    home = tmp_path_factory.mktemp("text-shards")
    return write_shards([str(corpus_file)], base_folder, home=home, held_out=0.1, shard_tokens=1500)
