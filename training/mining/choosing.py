"""From ranked candidates to negatives: passages read, and a reranker asked, until there are enough.

Candidates are looked at in the order of the choice, and no further than needed: a cross-encoder
reads far slower than an index ranks.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from search.engine import Ranked
from search.reranking.reranker import Reranker
from training.mining.asking import Asking
from training.mining.plan import Plan
from training.mining.rules import Rule, greatest_score
from training.pairs.example import Example
from training.pairs.identity import digest
from training.supervision.pseudo_labels import reranker_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A document that may be a negative: its number, its rank from 1 and its score there."""

    number: int
    rank: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative:
    """A passage that was chosen, with the reranker's score where one read it."""

    text: str
    rank: int
    score: float
    reranked: float | None = None


@dataclass(slots=True, kw_only=True)
class Choice:
    """One query's way to its negatives.

    `positives` are the positives' scores in the ranking, None where unknown and -inf where beyond
    its end; `reranked` the reranker's, empty without one.
    """

    example: Example
    ranking: Ranked
    positives: Sequence[float | None]
    waiting: deque[Candidate]
    chosen: list[Negative] = field(default_factory=list)
    reranked: Sequence[float | None] = ()
    _met: set[bytes] = field(default_factory=set)

    def offer(self, count: int, asking: Asking, removed: Counter[Rule]) -> list[Negative]:
        """Take the next candidates, at most `count`, and read those that are new as passages."""
        own = {digest(text) for text in (self.example.query, *self.example.positives)}
        some = [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]
        query = self.example.query
        texts = asking.passages(query, self.ranking, [each.number for each in some])
        offered = []
        for each in some:
            text = texts[each.number]
            known = digest(text)
            rule: Rule | None = "no text" if not text else "positive" if known in own else None
            if rule is None and known in self._met:
                rule = "duplicate"
            if rule is not None:
                removed[rule] += 1
                continue
            self._met.add(known)
            offered.append(Negative(text=text, rank=each.rank, score=each.score))
        return offered


def choose(
    choices: Sequence[Choice],
    plan: Plan,
    asking: Asking,
    reranker: Reranker | None,
    removed: Counter[Rule],
) -> None:
    """Fill the choices, all together so that a cross-encoder has full batches.

    Each ends with the negatives that were wanted, or with all that there are, by rank.
    """
    if reranker is not None:
        asked = [(each.example.query, each.example.positives) for each in choices]
        for each, scores in zip(choices, reranker_scores(reranker, asked), strict=True):
            each.reranked = scores
    still = list(choices)
    while still := [each for each in still if each.waiting and len(each.chosen) < plan.negatives]:
        offers = [each.offer(plan.negatives - len(each.chosen), asking, removed) for each in still]
        if reranker is None:
            for each, offered in zip(still, offers, strict=True):
                each.chosen += offered
        else:
            _take_reranked(still, offers, plan, reranker, removed)
    for each in choices:
        each.chosen.sort(key=lambda negative: negative.rank)


def _take_reranked(
    choices: Sequence[Choice],
    offers: Sequence[Sequence[Negative]],
    plan: Plan,
    reranker: Reranker,
    removed: Counter[Rule],
) -> None:
    """Take what a reranker leaves of the offers: those that it scores, and scores low enough."""
    asked = [
        (each.example.query, [negative.text for negative in offered])
        for each, offered in zip(choices, offers, strict=True)
    ]
    scored = reranker_scores(reranker, asked)
    for each, offered, scores in zip(choices, offers, scored, strict=True):
        most = greatest_score(each.reranked, plan.rerank_margin)
        for negative, score in zip(offered, scores, strict=True):
            if score is None or score > most:
                removed["reranker"] += 1
                continue
            each.chosen.append(
                Negative(
                    text=negative.text, rank=negative.rank, score=negative.score, reranked=score
                )
            )
