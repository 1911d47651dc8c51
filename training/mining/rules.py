"""The rules that remove a candidate, in the order in which they are asked."""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from training.mining.overlap import holds
from training.mining.plan import Margin, Plan

Rule: TypeAlias = Literal[
    "positive", "scores", "margin", "no text", "duplicate", "reranker"
]  # fmt: skip

# Asked of a passage that is about to be taken, and not of the rest.
LATE: frozenset[Rule] = frozenset({"no text", "duplicate", "reranker"})
# What a person reads of each.
TOLD: dict[Rule, str] = {
    "positive": "holds a positive, or is held by one",
    "scores": "outside --scores",
    "margin": "nearer than the positive less --margin",
    "no text": "without text",
    "duplicate": "the same as one before",
    "reranker": "above the positive less --rerank-margin",
}


def by_ranking(
    score: float, words: str, positives: Sequence[str], most: float, plan: Plan
) -> Rule | None:
    """Return the first rule that a ranked document breaks, None where it may be a negative.

    `words` and `positives` are `spelled`; `most` is the greatest score that the margin allows.
    """
    if any(holds(words, each) or holds(each, words) for each in positives):
        return "positive"
    if not plan.scores[0] <= score <= plan.scores[1]:
        return "scores"
    return "margin" if score > most else None


def greatest_score(positives: Sequence[float | None], margin: Margin | None) -> float:
    """Return the greatest score that a negative may have beside positives of these scores.

    The lowest positive counts; None is one whose score is not known, which sets no limit. A
    positive that the ranking does not reach scores -inf: then every candidate is nearer.
    """
    known = [score for score in positives if score is not None]
    if margin is None or not known:
        return math.inf
    lowest = min(known)
    return lowest if math.isinf(lowest) else margin.most(lowest)
