"""How well a cross-encoder puts the passages of held-out queries in order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.judgements import Qrels
from eval.measures import score
from eval.runs import Run
from training.calibration import Scored
from training.crossencoder.scorer import Scorer
from training.finetuning.validation import FIGURE, MEASURE
from training.pairs.example import Example
from training.pairs.identity import digest

# Passages of a list; up to half of them are positives.
PLACES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedList:
    """A held-out query with passages, and which of them are relevant."""

    query: str
    texts: tuple[str, ...]
    relevant: tuple[bool, ...]


class ListValidation:
    """The held-out queries' lists: positives, negatives, and other held-out queries' positives.

    The last fill each list to 20 passages, as far as there are any that are neither the query's own
    nor the query; which ones hangs on the held-out examples alone. Passages stand in the order of
    their `identity`, so that equal scores favour none.
    """

    def __init__(self, held_out: Sequence[Example]) -> None:
        """Make the lists."""
        pool = {digest(text): text for each in held_out for text in each.positives}
        self.lists = tuple(_judged(each, number, pool) for number, each in enumerate(held_out))

    def run(self, scorer: Scorer) -> dict[str, float]:
        """Return the mean nDCG@10 of the held-out queries."""
        return {FIGURE: self.judge(self._scores(scorer))}

    def judge(self, scores: NDArray[np.float32]) -> float:
        """Return the mean nDCG@10 of scores, of all lists' passages one after another, [pairs]."""
        qrels: Qrels = {
            str(number): {str(place): 1 for place, each in enumerate(made.relevant) if each}
            for number, made in enumerate(self.lists)
        }
        ranked, start = {}, 0
        for number, made in enumerate(self.lists):
            own = scores[start : start + len(made.texts)]
            order = np.argsort(-own, kind="stable").tolist()
            ranked[str(number)] = [(str(place), float(own[place])) for place in order]
            start += len(made.texts)
        values = score(qrels, Run(name="held out", ranked=ranked), [MEASURE])[MEASURE]
        return float(np.mean(list(values.values())))

    def scored(self, scorer: Scorer) -> Scored:
        """Return the score of every pair, whether it is relevant, and its query's number."""
        return Scored(
            scores=self._scores(scorer).astype(np.float64),
            relevant=np.array([each for made in self.lists for each in made.relevant]),
            queries=np.repeat(
                np.arange(len(self.lists)), [len(made.texts) for made in self.lists]
            ),
        )  # fmt: skip

    def _scores(self, scorer: Scorer) -> NDArray[np.float32]:
        return scorer.predict([(made.query, text) for made in self.lists for text in made.texts])


def _judged(example: Example, number: int, pool: dict[bytes, str]) -> JudgedList:
    positives = example.positives[: PLACES // 2]
    texts = {digest(text): (text, True) for text in positives}
    for text in example.negatives[: PLACES - len(positives)]:
        texts.setdefault(digest(text), (text, False))
    own = {digest(text) for text in (example.query, *example.positives, *example.negatives)}
    # So many that enough are left, whichever of them are the query's own.
    others = random.Random(number).sample([*pool], min(len(pool), PLACES + len(own)))
    foreign = [key for key in others if key not in own]
    for key in foreign[: PLACES - len(texts)]:
        texts[key] = (pool[key], False)
    ordered = [texts[key] for key in sorted(texts)]
    return JudgedList(
        query=example.query,
        texts=tuple(text for text, _ in ordered),
        relevant=tuple(relevant for _, relevant in ordered),
    )
