"""Lists of passages to put in order, drawn from examples by the seed alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.order import Order
from training.pairs.example import Example
from training.pairs.identity import digest

# What chance is for, so that an epoch and a position of one number have nothing in common.
_DRAWING, _FILLING = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A step's size in lists, and the passages of a list beside one positive."""

    batch: int
    negatives: int

    @property
    def places(self) -> int:
        """Return how many passages a list has at most."""
        return self.negatives + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageList:
    """A query's passages, the first `positives` of them relevant; `scores` are a teacher's."""

    query: str
    texts: tuple[str, ...]
    positives: int
    scores: tuple[float, ...] | None = None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return what is scored, in the passages' order."""
        return [(self.query, text) for text in self.texts]


class Lists:
    """What each step takes of the examples, without end, from any position on.

    A position counts examples: the seed decides their order in each epoch, and what is drawn of
    each. Up to half of a list are positives, the rest negatives. With `filled` the places that are
    left over get positives of other lists of the batch, none of which is by `identity` one of the
    example's own passages, or its query: where queries and passages are of one kind, as questions
    that mean the same are, a pair may come both ways around.
    """

    def __init__(self, examples: Sequence[Example], size: Size, *, seed: int, filled: bool) -> None:
        """Take what decides the draws."""
        self._examples = examples
        self._size = size
        self._seed = seed
        self._filled = filled
        self._order = Order(len(examples), seed)

    def __getitem__(self, position: int) -> list[PassageList]:
        """Return the lists of the step at a position."""
        positions = np.arange(position, position + self._size.batch, dtype=np.int64)
        numbers = self._order[positions].tolist()
        epochs = (positions // self._order.count).tolist()
        drawn = [self._draw(*each) for each in zip(epochs, numbers, strict=True)]
        if not self._filled:
            return drawn
        chance = np.random.default_rng((self._seed, _FILLING, position))
        return [
            self._fill(each, self._examples[number], drawn, chance)
            for each, number in zip(drawn, numbers, strict=True)
        ]

    def _draw(self, epoch: int, number: int) -> PassageList:
        example, places = self._examples[number], self._size.places
        chance = np.random.default_rng((self._seed, _DRAWING, epoch, number))
        positives = _chosen(len(example.positives), max(1, places // 2), chance)
        negatives = _chosen(len(example.negatives), places - len(positives), chance)
        behind = [len(example.positives) + place for place in negatives]
        texts = (*example.positives, *example.negatives)
        scores = example.scores
        return PassageList(
            query=example.query,
            texts=tuple(texts[place] for place in (*positives, *behind)),
            positives=len(positives),
            scores=scores and tuple(scores[place] for place in (*positives, *behind)),
        )

    def _fill(
        self,
        made: PassageList,
        example: Example,
        batch: Sequence[PassageList],
        chance: np.random.Generator,
    ) -> PassageList:
        """Fill a list's places with other lists' positives, each as likely."""
        wanted = self._size.places - len(made.texts)
        if wanted < 1:
            return made
        own = {digest(text) for text in (example.query, *example.positives, *example.negatives)}
        others = {
            key: text
            for other in batch
            for text in other.texts[: other.positives]
            if (key := digest(text)) not in own
        }
        texts = list(others.values())
        fillers = [texts[place] for place in _chosen(len(texts), wanted, chance)]
        if not fillers:
            return made
        return replace(made, texts=(*made.texts, *fillers), scores=None)  # no teacher saw these


def _chosen(count: int, most: int, chance: np.random.Generator) -> list[int]:
    """Choose at most so many of `range(count)`, each as likely, in ascending order."""
    if count <= most:
        return list(range(count))
    return sorted(chance.choice(count, most, replace=False).tolist())
