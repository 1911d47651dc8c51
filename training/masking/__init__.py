"""Corruption of token rows, one way a file: pure functions of ids, word starts and a generator."""

from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.masking.rates import Rates
from training.masking.span import mask_spans
from training.masking.token import mask_tokens
from training.masking.vocabulary import Vocabulary
from training.masking.word import mask_words


class Masking(Protocol):
    """A way to choose and corrupt tokens."""

    def __call__(
        self,
        ids: NDArray[np.integer[Any]],
        starts: NDArray[np.bool_],
        rng: Generator,
        *,
        vocabulary: Vocabulary,
        rates: Rates,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Make inputs and labels, [n] each; a label is -100 where nothing is asked."""


MASKINGS: dict[str, Masking] = {"token": mask_tokens, "word": mask_words, "span": mask_spans}

__all__ = ["MASKINGS", "Masking", "Rates", "Vocabulary", "mask_spans", "mask_tokens", "mask_words"]
