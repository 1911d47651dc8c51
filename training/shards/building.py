"""One shard in the making: tokens, sentences, documents and hashes, a document at a time."""

from array import array
from collections.abc import Sequence

import numpy as np

from training.shards.files import Arrays


class Building:
    """Collect the documents of one shard until it is full."""

    def __init__(self, code: str) -> None:
        """Begin an empty shard whose ids have the `array` type of this code."""
        self.read = 0
        self._tokens = array(code)
        self._sentences = array("q")
        self._documents = array("q")
        self._hashes = array("Q")

    @property
    def tokens(self) -> int:
        """How many tokens there are so far."""
        return len(self._tokens)

    def add(self, sentences: Sequence[bytes], hashed: int) -> None:
        """Add a document by the ids of its sentences; one without a token only counts as read."""
        self.read += 1
        filled = [sentence for sentence in sentences if sentence]
        if not filled:
            return
        self._documents.append(len(self._sentences))
        self._hashes.append(hashed)
        for sentence in filled:
            self._sentences.append(len(self._tokens))
            self._tokens.frombytes(sentence)

    def arrays(self) -> Arrays:
        """Return the shard's arrays.

        `tokens` are flat ids; `sentences` say where each begins in them, and the end; `documents`
        the number of each one's first sentence, and the end; `hashes` are those of their texts.
        """
        self._documents.append(len(self._sentences))
        self._sentences.append(len(self._tokens))
        return {
            "tokens": np.frombuffer(self._tokens, f"u{self._tokens.itemsize}"),
            "sentences": np.frombuffer(self._sentences, np.int64),
            "documents": np.frombuffer(self._documents, np.int64),
            "hashes": np.frombuffer(self._hashes, np.uint64),
        }
