"""A task of the bi-encoder on made-up pairs, and the plan of its run."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from indexer.models import find_model
from tests.conftest import WORDS
from training.biencoder.batches import Size
from training.biencoder.objective import Temperatures, objective_of
from training.biencoder.task import BiEncoding
from training.finetuning.encoder import TextEncoder
from training.finetuning.validation import Validation
from training.pairs.example import Example

MakeTask = Callable[..., BiEncoding]


@pytest.fixture(scope="session")
def examples() -> tuple[Example, ...]:
    """Queries of two words, whose positives hold both; every third has two positives."""
    found = []
    for number in range(40):
        first, second = WORDS[3 * number + 1], WORDS[3 * number + 2]
        positives = [
            f"the {first} was found by a {second}",
            f"{second} {first} " * (number % 5 + 1),
        ]
        negatives = tuple(f"a {WORDS[2 * number + each]} and {second}" for each in range(3))
        kept = tuple(positives[: 2 if number % 3 == 0 else 1])
        scores = tuple(float(4 - each) for each in range(len(kept) + 3))
        found.append(
            Example(query=f"{first} {second}", positives=kept, negatives=negatives, scores=scores)
        )
    return tuple(found)


@pytest.fixture(scope="session")
def pair_file(examples: tuple[Example, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same examples as JSON lines."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in examples))
    return path


@pytest.fixture(scope="session")
def make_task(sentence_folder: Path, examples: tuple[Example, ...]) -> MakeTask:
    """Make a task from nothing: the small BERT, 32 examples to train on and 8 held out."""

    def make(
        loss: str = "infonce", *, keeps_graph: bool = True, batch: int = 8,
        dims: tuple[int, ...] = (), told: list[str] | None = None,
    ) -> BiEncoding:  # fmt: skip
        told = [] if told is None else told
        encoder = TextEncoder(
            find_model(str(sentence_folder)), pooling=None, length=32, dtype=torch.float32,
            device="cpu",
        )  # fmt: skip
        return BiEncoding(
            encoder, examples[8:], Validation(examples[:8], examples[8:], 30),
            objective_of(loss, Temperatures(), dims),
            name=loss, size=Size(batch=batch, negatives=2), dims=dims, keeps_graph=keeps_graph,
            seed=3, device="cpu", tell=told.append,
        )  # fmt: skip

    return make
