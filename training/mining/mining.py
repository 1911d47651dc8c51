"""Mining: queries to the index, candidates through the rules, negatives to a file."""

import hashlib
import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from indexer.index import Index
from indexer.progress import Phase
from search.engine import Ranked
from search.files import whole_file
from training.mining.asking import Asking
from training.mining.choosing import Candidate, Choice, choose
from training.mining.holders import Holders, find_holders
from training.mining.mined import Mined
from training.mining.overlap import spelled
from training.mining.plan import Plan
from training.mining.rules import by_ranking, greatest_score
from training.pairs.example import Example
from training.text import Advance

if TYPE_CHECKING:
    from search.reranking.reranker import Reranker

# Shows what is done of a phase, in a unit.
Bars: TypeAlias = Callable[[Phase, str], AbstractContextManager[Advance]]

# Queries that are asked together; the answer to none depends on it.
_AT_ONCE = 64


def mine(index: Index, examples: Sequence[Example], plan: Plan, out: Path, bars: Bars) -> Mined:
    """Write each query with its positives and with negatives that the index finds, as JSON lines.

    A negative is the best passage of a document within the plan's ranks that no rule removes; see
    `rules`. All is read at one commit. The same index, examples and plan give the same bytes.
    Memory holds the examples, which documents hold their positives, and 8 bytes a score.

    Raises:
        ClozeError: the index lacks the mode, the reranker can't be had, or the file can't be
            written.
    """
    with closing(Asking(index, plan.mode, plan.ranks[1])) as asking, index.reading():
        reranker = None if plan.rerank is None else asking.reranker(plan.rerank)
        mined = Mined(plan=plan, mode=asking.mode, depth=asking.depth)
        with whole_file(out) as file:
            with bars("read", "documents") as progress:
                holders = find_holders(index, examples, progress)
            run = _Run(plan, asking, reranker, holders, mined)
            with bars("search", "queries") as progress:
                for start in range(0, len(examples), _AT_ONCE):
                    for line in run.lines(examples[start : start + _AT_ONCE]):
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    progress(mined.queries, mined.queries / len(examples))
    return mined


class _Run:
    """What every query of a run has in common."""

    def __init__(
        self,
        plan: Plan,
        asking: Asking,
        reranker: "Reranker | None",
        holders: Holders,
        mined: Mined,
    ) -> None:
        self._plan = plan
        self._asking = asking
        self._reranker = reranker
        self._holders = holders
        self._mined = mined

    def lines(self, examples: Sequence[Example]) -> Iterator[dict[str, Any]]:
        """Mine some queries together; yield what is written of them."""
        rankings = self._asking.rank([each.query for each in examples])
        choices = [
            self._begun(example, ranking)
            for example, ranking in zip(examples, rankings, strict=True)
        ]
        choose(choices, self._plan, self._asking, self._reranker, self._mined.removed)
        for choice in choices:
            self._count(choice)
            if (line := self._line(choice)) is not None:
                self._mined.written += 1
                yield line

    def _begun(self, example: Example, ranking: Ranked) -> Choice:
        """Ask the rules that need the ranking alone."""
        positives = self._positive_scores(example, ranking)
        most = greatest_score(positives, self._plan.margin)
        own = [spelled(text) for text in example.positives]
        first, last = self._plan.ranks
        window = ranking.pairs[first - 1 : last]
        seen = self._asking.seen([document for document, _ in window])
        left = []
        for rank, (document, score) in enumerate(window, first):
            each = seen[document]
            rule = by_ranking(score, each.words, own, most, self._plan)
            if rule is None:
                left.append(Candidate(number=each.number, rank=rank, score=score))
            else:
                self._mined.removed[rule] += 1
        self._mined.candidates += len(window)
        if self._plan.sampling == "random":
            _chance(self._plan.seed, example.query).shuffle(left)
        return Choice(example=example, ranking=ranking, positives=positives, waiting=deque(left))

    def _positive_scores(self, example: Example, ranking: Ranked) -> list[float | None]:
        """Return each positive's score: its best document's, else None, or -inf if not reached.

        In a dense ranking a positive that has none is encoded.
        """
        scores = dict(ranking.pairs)
        found: list[float | None] = []
        for positive in example.positives:
            holders = self._holders.of(positive)
            reached = [scores[each] for each in holders if each in scores]
            if reached:
                found.append(max(reached))
            elif self._asking.mode == "dense":
                found.append(self._encoded(positive, ranking))
                self._mined.encoded += 1
            else:
                found.append(-math.inf if holders else None)
        self._mined.positives += len(found)
        self._mined.absent += found.count(None)
        self._mined.beyond += found.count(-math.inf)
        return found

    def _encoded(self, positive: str, ranking: Ranked) -> float:
        """Score a positive as if it were a passage of the index."""
        import numpy as np

        from indexer.kernel import products

        if ranking.vector is None:
            raise AssertionError("a dense ranking has the query's vector")
        vectors = self._asking.index.encoder.encode_documents([positive])
        return float(products(vectors.astype(np.float16), ranking.vector)[0])

    def _count(self, choice: Choice) -> None:
        mined, chosen = self._mined, choice.chosen
        mined.queries += 1
        mined.negatives += len(chosen)
        mined.fewer += len(chosen) < self._plan.negatives
        mined.none += not chosen
        mined.had_negatives += bool(choice.example.negatives)
        mined.ranked.add(_known(choice.positives), [each.score for each in chosen])
        mined.reranked.add(_known(choice.reranked), _known([each.reranked for each in chosen]))

    def _line(self, choice: Choice) -> dict[str, Any] | None:
        """Return what is written of a query; None where labels are wanted and no positive has one.

        Of a labelled query positives without a score are left out.
        """
        example, negatives = choice.example, [each.text for each in choice.chosen]
        line: dict[str, Any] = {"query": example.query, "positives": list(example.positives)}
        if not self._plan.label:
            return line | {"negatives": negatives}
        by_reranker = self._reranker is not None
        scored = zip(
            example.positives, choice.reranked if by_reranker else choice.positives, strict=True
        )
        known = [(text, score) for text, score in scored if _is_known(score)]
        if not known:
            self._mined.unlabelled += 1
            return None
        scores = [each.reranked if by_reranker else each.score for each in choice.chosen]
        return line | {
            "positives": [text for text, _ in known],
            "negatives": negatives,
            "scores": [*(score for _, score in known), *scores],
        }


def _is_known(score: float | None) -> bool:
    return score is not None and math.isfinite(score)


def _known(scores: Sequence[float | None]) -> list[float]:
    return [score for score in scores if score is not None and math.isfinite(score)]


def _chance(seed: int, query: str) -> Random:
    """Return the chance that a query has, whichever queries come before it."""
    return Random(hashlib.blake2b(json.dumps([seed, query]).encode(), digest_size=16).digest())
