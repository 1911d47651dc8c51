"""What is mined, as the user asked for it, and what contradicts itself."""

import math
import re
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from indexer.errors import ClozeError
from search.hits import Mode

Sampling: TypeAlias = Literal["first", "random"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How far below the positive a negative must score: by an amount, or a share of its score."""

    amount: float
    relative: bool = False

    @classmethod
    def parse(cls, option: str, text: str) -> Self:
        """Read "0.1", an amount, or "5%", a share.

        Raises:
            ClozeError: it is neither.
        """
        found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+))(%?)", text.strip())
        if not found:
            raise ClozeError(
                f"{option} is {text!r}; give an amount, as in 0.1, or a share of the positive's "
                "score, as in 5%"
            )
        relative = bool(found[2])
        return cls(amount=float(found[1]) / (100 if relative else 1), relative=relative)

    def most(self, positive: float) -> float:
        """Return the greatest score that a negative may have beside a positive of this score.

        The share is of the score's size, so that a margin below a negative score lies below it.
        """
        return positive - (abs(positive) * self.amount if self.relative else self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which negatives are wanted; `ranks` are [first, last] from 1, `scores` [least, greatest].

    `mode` None is the index's. `rerank` names a reranker that reads what the ranking's rules left;
    `label` writes the scores of positives and negatives beside them, the reranker's if there is
    one, else the ranking's.
    """

    mode: Mode | None = None
    negatives: int = 4
    ranks: tuple[int, int] = (5, 100)
    scores: tuple[float, float] = (-math.inf, math.inf)
    margin: Margin | None = None
    rerank: str | None = None
    rerank_margin: Margin | None = None
    sampling: Sampling = "first"
    seed: int = 0
    label: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            ClozeError: a number is out of its range, or one option needs another.
        """
        first, last = self.ranks
        if not 1 <= first <= last:
            raise ClozeError(
                f"--ranks is {first},{last}; give the first and the last rank, 1 or more, as in "
                "5,100"
            )
        if last - first + 1 < self.negatives:
            raise ClozeError(
                f"--ranks {first},{last} has {last - first + 1} places for --negatives "
                f"{self.negatives}; widen the ranks or ask for fewer"
            )
        least, greatest = self.scores
        if not least <= greatest:
            raise ClozeError(f"--scores is {least:g},{greatest:g}; give the lesser one first")
        if self.mode not in (None, "hybrid", "dense", "lexical"):
            raise ClozeError(f"--mode is {self.mode!r}; choose hybrid, dense, lexical")
        if self.sampling not in ("first", "random"):
            raise ClozeError(f"--sampling is {self.sampling!r}; choose first or random")
        if self.rerank_margin is not None and self.rerank is None:
            raise ClozeError("--rerank-margin needs a reranker; name one with --rerank")
        if self.rerank is not None and self.rerank_margin is None and not self.label:
            raise ClozeError(
                f"--rerank {self.rerank} alone changes nothing; give --rerank-margin, --label or "
                "both"
            )
