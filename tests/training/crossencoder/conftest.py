"""A small BERT that reads pairs, and pairs whose relevance it can learn."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.training.crossencoder.made import Make, made_examples, made_task
from training.pairs.example import Example


@pytest.fixture(scope="session")
def pair_base(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small BERT with a tokenizer that has a template for pairs."""
    from tokenizers import Tokenizer, processors

    folder = tmp_path_factory.mktemp("pairs") / "base"
    shutil.copytree(base_folder, folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=special
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def examples() -> tuple[Example, ...]:
    return made_examples(60)


@pytest.fixture(scope="session")
def pair_file(examples: tuple[Example, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file of JSON lines."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    lines = [
        {"query": each.query, "positives": each.positives, "negatives": each.negatives}
        for each in examples
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def make(pair_base: Path, examples: tuple[Example, ...]) -> Make:
    """Make a task of the small BERT; options replace those of a short run."""

    return partial(made_task, pair_base, examples)
