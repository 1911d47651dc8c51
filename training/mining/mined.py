"""What mining found and what its rules removed, as a table and as JSON."""

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search.hits import Mode
from training.mining.plan import Plan
from training.mining.rules import LATE, TOLD, Rule

_FIGURES: Mapping[str, Callable[["np.ndarray[Any, Any]"], Any]] = {
    "mean": np.mean,
    "p25": lambda scores: np.percentile(scores, 25),
    "p50": lambda scores: np.percentile(scores, 50),
    "p75": lambda scores: np.percentile(scores, 75),
}


@dataclass(slots=True, kw_only=True)
class Scores:
    """Scores of positives and negatives by one judge, and what lies between: 8 bytes each.

    A negative's difference is from its query's lowest positive.
    """

    positives: "array[float]" = field(default_factory=lambda: array("d"))
    negatives: "array[float]" = field(default_factory=lambda: array("d"))
    differences: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, positives: Sequence[float], negatives: Sequence[float]) -> None:
        """Take the scores of one query, those that are known."""
        self.positives.extend(positives)
        self.negatives.extend(negatives)
        if positives:
            lowest = min(positives)
            self.differences.extend(lowest - each for each in negatives)

    def as_json(self) -> dict[str, dict[str, float | None]]:
        """Return count, mean and quartiles of each; None where there are none."""
        return {
            name: {"count": len(values)}
            | {
                figure: float(function(np.array(values))) if len(values) else None
                for figure, function in _FIGURES.items()
            }
            for name, values in (
                ("positives", self.positives),
                ("negatives", self.negatives),
                ("difference", self.differences),
            )
        }

    def lines(self) -> list[str]:
        """Return the same as a table."""
        columns = self.as_json()
        lines = [f"{'':<8}" + "".join(f"{name:>13}" for name in columns)]
        for figure in ("count", *_FIGURES):
            values = [column[figure] for column in columns.values()]
            shown = ("-" if v is None else f"{v:,}" if figure == "count" else f"{v:.4f}"
                     for v in values)  # fmt: skip
            lines.append(f"{figure:<8}" + "".join(f"{each:>13}" for each in shown))
        return lines


@dataclass(slots=True, kw_only=True)
class Mined:
    """Counts of a whole run.

    Of the positives, `absent` are in no document of the index, `beyond` in one that the ranking
    does not reach; of both, those that the encoder scored itself are not counted but in `encoded`.
    `candidates` stood within the ranks; `removed` counts each by the first rule that it broke, of
    which the last three are only asked until there are enough. `fewer` queries got less than they
    were to have, `none` of them nothing; `unlabelled` were left out for want of a positive's score;
    `had_negatives` came with negatives, which are not written.
    """

    plan: Plan
    mode: Mode
    depth: int
    queries: int = 0
    written: int = 0
    negatives: int = 0
    fewer: int = 0
    none: int = 0
    unlabelled: int = 0
    had_negatives: int = 0
    positives: int = 0
    absent: int = 0
    beyond: int = 0
    encoded: int = 0
    candidates: int = 0
    removed: Counter[Rule] = field(default_factory=Counter)
    ranked: Scores = field(default_factory=Scores)
    reranked: Scores = field(default_factory=Scores)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        names = (
            "queries", "written", "negatives", "fewer", "none", "unlabelled", "had_negatives",
            "positives", "absent", "beyond", "encoded", "candidates",
        )  # fmt: skip
        found: dict[str, Any] = {name: getattr(self, name) for name in names}
        found |= {"mode": self.mode, "depth": self.depth}
        found["removed"] = {rule: self.removed[rule] for rule in TOLD}
        found["scores"] = self.ranked.as_json()
        if self.plan.rerank is not None:
            found["rerank_scores"] = self.reranked.as_json()
        return found

    def lines(self) -> list[str]:
        """Return what a person reads."""
        lines = [f"scores of the {self.mode} ranking", *self.ranked.lines()]
        if self.plan.rerank is not None:
            lines += ["", f"scores of {self.plan.rerank}", *self.reranked.lines()]
        return [*lines, "", *self._told_rules(), "", *self._told_positives(), self._told_queries()]

    def _told_rules(self) -> list[str]:
        first, last = self.plan.ranks
        lines = [f"{self.candidates:,} candidates at ranks {first} to {last}, removed:"]
        lines += self._told_removed(TOLD.keys() - LATE, self.candidates)
        read = self.negatives + sum(self.removed[rule] for rule in LATE)
        lines.append(f"{read:,} of the rest read, until there were enough, removed:")
        return lines + self._told_removed(LATE, read)

    def _told_removed(self, rules: Set[Rule], among: int) -> list[str]:
        counts = [(self.removed[rule], told) for rule, told in TOLD.items() if rule in rules]
        return [f"{count:>10,} {count / max(1, among):>7.2%}  {told}" for count, told in counts]

    def _told_positives(self) -> list[str]:
        wide = self.plan.margin is not None
        told = {
            f"in no document of the index{': no margin for them' if wide else ''}": self.absent,
            f"not among the first {self.depth:,} of a retrieval"
            f"{': no candidate is far enough below' if wide else ''}": self.beyond,
            "of these kinds, encoded and scored exactly": self.encoded,
        }
        lines = [f"{count:>10,}  {what}" for what, count in told.items() if count]
        return [f"of {self.positives:,} positives:", *lines, ""] if lines else []

    def _told_queries(self) -> str:
        told = [f"{self.queries:,} queries, {self.negatives:,} negatives"]
        if self.fewer:
            told.append(
                f"{self.fewer:,} queries have fewer than {self.plan.negatives}, {self.none:,} of "
                "them none"
            )
        if self.unlabelled:
            told.append(f"{self.unlabelled:,} are left out: no positive of theirs has a score")
        if self.had_negatives:
            told.append(f"{self.had_negatives:,} had negatives, which are not written again")
        return "; ".join(told)
