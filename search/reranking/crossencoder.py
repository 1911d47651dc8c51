"""A cross-encoder: query and passage in one sequence, one score out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.runtime.model import Model, Runner
from indexer.runtime.pairs import PairTokenizer
from search.reranking.reranker import Candidate, Scored

if TYPE_CHECKING:
    from indexer.runtime.classifier import ClassifierCheckpoint

# Of a document so many passages are read.
PASSAGES = 3
# Pairs that are tokenised and run at once, so that memory is bounded however many there are.
_AT_ONCE = 4096


class CrossEncoder:
    """A sequence classifier as a reranker: raw logits, or log odds where it has two labels.

    A score depends on its pair alone, bit for bit on one machine's CPU.
    """

    def __init__(
        self,
        checkpoint: "ClassifierCheckpoint",
        *,
        device: str = "cpu",
        threads: int = 1,
        precision: str | None = None,
    ) -> None:
        """Load tokenizer and model; `precision` None is `CLOZE_PRECISION`, else auto.

        Raises:
            ClozeError: either can't be loaded, the tokenizer has no template for pairs, or there
                is no such device or precision.
        """
        self.checkpoint = checkpoint
        self._model = Model(checkpoint, device=device, precision=precision, threads=threads)
        self._tokenizer = PairTokenizer(
            self._model.tokenizer, checkpoint.max_tokens, checkpoint.name
        )

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def content_hash(self) -> str:
        """The checkpoint's hash."""
        return self.checkpoint.content_hash

    @property
    def precision(self) -> str:
        """The number format that the forward pass runs in."""
        return self._model.precision

    def share(self, runner: Runner) -> None:
        """Leave all forward passes from now on to a runner; see `Model.share`."""
        self._model.share(runner)

    @property
    def device(self) -> str:
        """Where the forward pass runs."""
        return self._model.device

    @property
    def passages(self) -> int:
        """How many passages of a document it reads."""
        return PASSAGES

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the score of each pair, in order: [pairs].

        A pair that is too long loses tokens from the end of its longer text.
        """
        scores = np.empty(len(pairs), dtype=np.float32)
        prompt = self.checkpoint.prompt
        for start in range(0, len(pairs), _AT_ONCE):
            part = scores[start : start + _AT_ONCE]
            prompted = [(prompt + a, b) for a, b in pairs[start : start + _AT_ONCE]]
            for places, (found,) in self._model.run(self._tokenizer.rows(prompted)):
                part[places] = found
        return scores

    def probability(self, score: float) -> float | None:
        """Return how probable relevance is at a score, by the checkpoint's calibration if any."""
        calibration = self.checkpoint.calibration
        return None if calibration is None else calibration.curve(score)

    def score(self, query: str, candidates: Sequence[Candidate]) -> list[Scored]:
        """Score candidates, in their order, each by the best of its passages; the first of equals.

        A candidate without passages scores None.
        """
        texts = [passage.text for candidate in candidates for passage in candidate.passages]
        scores = self.predict([(query, text) for text in texts])
        scored = []
        start = 0
        for candidate in candidates:
            end = start + len(candidate.passages)
            scored.append(_best(scores[start:end]))
            start = end
        return scored


def _best(scores: NDArray[np.float32]) -> Scored:
    if not len(scores):
        return Scored(score=None)
    place = int(scores.argmax())
    return Scored(score=float(scores[place]), passage=place)
