"""What a fine-tuning run learns from and is judged on, and how a command line names it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.pairs.example import Example
from training.pairs.reading import Pairs

PAIRS = "pairs"
HELD_OUT = "--held-out"
_HASH = 16  # hexadecimal digits that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Pairs, and their examples to train on and held out.

    `paths` and `options` are what the command line was given to read them; options that are None or
    False weren't given.
    """

    pairs: Pairs
    train: tuple[Example, ...]
    held_out: tuple[Example, ...]
    paths: tuple[str, ...]
    options: Mapping[str, Any]


def pair_settings(material: Material) -> dict[str, Any]:
    """Return what stands for the pairs among a run's settings."""
    return {PAIRS: material.pairs.content_hash[:_HASH], HELD_OUT: len(material.held_out)}


def command_line(name: str, material: Material, options: Mapping[str, Any]) -> str:
    """Return the command line of a run, for a shell, from what was given beside the pairs."""
    words = ["cloze", "train", name, *material.paths]
    for option, value in {**options, **material.options}.items():
        words += _words(option, value)
    return shlex.join(words)


def _words(option: str, value: Any) -> list[str]:  # noqa: ANN401 - an option is of any type
    if value is None or value is False:
        return []
    if value is True:
        return [option]
    several = value if isinstance(value, (list, tuple)) else [value]
    return [word for each in several for word in (option, str(each))]
