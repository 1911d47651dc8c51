"""Pairs of the tiny model's words, and small tasks of the cross-encoder."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch

from indexer.models import find_model
from tests.conftest import WORDS
from training.crossencoder.lists import Size
from training.crossencoder.scorer import Scorer
from training.crossencoder.task import CrossEncoding
from training.crossencoder.validation import ListValidation
from training.pairs.example import Example

HELD_OUT = 12


class Make(Protocol):
    """Makes a task."""

    def __call__(
        self, *, loss: str = ..., batch: int = ..., negatives: int = ..., seed: int = ...
    ) -> CrossEncoding: ...


def made_examples(count: int, *, scores: bool = False, seed: int = 0) -> tuple[Example, ...]:
    """Queries of two words; positives have both, negatives one or none."""
    choose = random.Random(seed)

    def text(*words: str) -> str:
        own = [*words, *choose.choices(WORDS, k=choose.randint(2, 12))]
        choose.shuffle(own)
        return " ".join(own)

    made = []
    for number in range(count):
        first, second = choose.sample(WORDS, 2)
        positives = tuple(text(first, second) for _ in range(1 + number % 3))
        negatives = tuple(text(first) for _ in range(number % 4))
        taught = tuple(choose.uniform(-4, 8) for _ in (*positives, *negatives))
        made.append(
            Example(
                query=f"{first} {second} {number}", positives=positives, negatives=negatives,
                scores=taught if scores else None,
            )
        )  # fmt: skip
    return tuple(made)


def made_scorer(folder: Path, *, seed: int = 0, length: int = 48) -> Scorer:
    """A small cross-encoder whose classifier is new, in float32."""
    return Scorer(
        find_model(str(folder)), length=length, seed=seed, dtype=torch.float32, device="cpu"
    )


def made_task(
    folder: Path,
    examples: Sequence[Example],
    *,
    loss: str = "listnet",
    batch: int = 4,
    negatives: int = 3,
    seed: int = 3,
) -> CrossEncoding:
    """A task that holds out the first examples."""
    return CrossEncoding(
        made_scorer(folder), examples[HELD_OUT:], ListValidation(examples[:HELD_OUT]), loss=loss,
        size=Size(batch=batch, negatives=negatives), seed=seed, device="cpu",
        tell=lambda line: None,
    )  # fmt: skip
