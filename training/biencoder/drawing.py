"""What a step takes of an example: one of its positives, some of its negatives."""

from dataclasses import dataclass

import numpy as np

from training.pairs.example import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """An example with the places of what was drawn, those of negatives among the negatives."""

    example: Example
    positive: int
    negatives: tuple[int, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the passages that were drawn, the positive first."""
        example = self.example
        negatives = (example.negatives[place] for place in self.negatives)
        return (example.positives[self.positive], *negatives)

    @property
    def scores(self) -> tuple[float, ...] | None:
        """Return the teacher's scores of these passages, None where there are none."""
        scores, first = self.example.scores, len(self.example.positives)
        if scores is None:
            return None
        return (scores[self.positive], *(scores[first + place] for place in self.negatives))

    @property
    def shown(self) -> Example:
        """Return the example with what was drawn in front, and no other negatives."""
        example, order = self.example, self._positives
        scores = example.scores
        if scores is not None:
            positives = (scores[place] for place in order)
            scores = (*positives, *(scores[len(order) + place] for place in self.negatives))
        return Example(
            query=example.query,
            positives=tuple(example.positives[place] for place in order),
            negatives=self.texts[1:],
            scores=scores,
        )

    @property
    def _positives(self) -> list[int]:
        others = (place for place in range(len(self.example.positives)) if place != self.positive)
        return [self.positive, *others]


def draw(example: Example, negatives: int, *, seed: int, epoch: int, number: int) -> Drawn:
    """Draw a positive, and at most so many negatives in their order, each as likely.

    The seed, the epoch and the example's number decide it, and nothing that was drawn before.
    """
    positive, kept = 0, tuple(range(len(example.negatives)))
    if len(example.positives) > 1 or len(kept) > negatives:
        chance = np.random.default_rng((seed, epoch, number))
        positive = int(chance.integers(len(example.positives)))
        if len(kept) > negatives:
            chosen = chance.choice(len(kept), negatives, replace=False)
            kept = tuple(sorted(chosen.tolist()))
    return Drawn(example=example, positive=positive, negatives=kept)
