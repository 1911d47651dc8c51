"""Mining as one would write it without caring for speed: every document read for every query."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from math import inf

from search.index import Index
from search.reranking.reranker import Candidate, CandidatePassage
from training.mining.plan import Plan
from training.pairs.example import Example


def words(text: str) -> list[str]:
    """A text's words, in CJK its characters."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return [
        word
        for run in re.findall(r"\w+|_", text)
        for word in re.findall(r"[぀-ヿ㐀-䶿一-鿿가-힣]|[^぀-ヿ㐀-䶿一-鿿가-힣]+", run)
    ]


def held(whole: list[str], part: list[str]) -> bool:
    """Whether four fifths of the part's pieces of four words are somewhere in the whole."""
    if len(part) < 4:
        return whole == part
    starts = [*range(0, len(part) - 3, 4), *([len(part) - 4] if len(part) % 4 else [])]
    runs = {tuple(whole[at : at + 4]) for at in range(len(whole) - 3)}
    return 5 * sum(tuple(part[at : at + 4]) in runs for at in starts) >= 4 * len(starts)


def same(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class BruteMiner:
    """Reads an index through its library alone."""

    def __init__(self, index: Index, plan: Plan) -> None:
        self.index, self.plan = index, plan
        self.removed: Counter[str] = Counter()
        self.documents = {document.id: document for _, document in index.store.all_live()}
        self.words = {
            name: words(f"{document.title} {document.text}")
            for name, document in self.documents.items()
        }

    def rank(self, query: str) -> list[tuple[str, float]]:
        depth = max(self.index.depth, self.plan.ranks[1])
        return self.index.rank(
            query, mode=self.plan.mode, top=2 * depth, depth=depth, rerank="none"
        )

    def passages(self, query: str) -> dict[str, str]:
        """The best passage of each document that is found, as an encoder reads it.

        Of a lexical ranking it is the whole text, which is short in these tests.
        """
        hits = self.index.search(
            query, mode=self.plan.mode, top=2000, rerank="none", highlight=False
        ).hits
        found = {}
        for hit in hits:
            text = self.documents[hit.id].text
            if self.plan.mode != "lexical":
                text = text[hit.passage.start : hit.passage.end]
            found[hit.id] = f"{hit.title} {text}".strip()
        return found

    def positive_score(self, query: str, positive: str) -> float | None:
        scores = dict(self.rank(query))
        part = words(positive)
        holders = [each for each, whole in self.words.items() if held(whole, part)]
        found = [scores[each] for each in holders if each in scores]
        return max(found) if found else (-inf if holders else None)

    def limit(self, scores: Sequence[float | None]) -> float:
        known = [score for score in scores if score is not None]
        margin = self.plan.margin
        if margin is None or not known:
            return inf
        lowest = min(known)
        return lowest - (abs(lowest) * margin.amount if margin.relative else margin.amount)

    def candidates(self, example: Example) -> list[tuple[str, float]]:
        """What the rules of the ranking leave, best first."""
        most = self.limit([self.positive_score(example.query, each) for each in example.positives])
        first, last = self.plan.ranks
        left = []
        for document, score in self.rank(example.query)[first - 1 : last]:
            text = self.words[document]
            own = [words(each) for each in example.positives]
            if any(held(text, each) or held(each, text) for each in own):
                self.removed["positive"] += 1
            elif not self.plan.scores[0] <= score <= self.plan.scores[1]:
                self.removed["scores"] += 1
            elif score > most:
                self.removed["margin"] += 1
            else:
                left.append((document, score))
        return left

    def negatives(self, example: Example) -> list[tuple[str, float]]:
        """The first that are new, as passages with their scores."""
        taken: list[tuple[str, float]] = []
        own = {same(text) for text in (example.query, *example.positives)}
        passages = self.passages(example.query)
        for document, score in self.candidates(example):
            if len(taken) == self.plan.negatives:
                break
            text = passages[document]
            if same(text) in own:
                self.removed["positive"] += 1
            elif same(text) in {same(each) for each, _ in taken}:
                self.removed["duplicate"] += 1
            else:
                taken.append((text, score))
        return taken


def candidate(text: str) -> Candidate:
    """A text as a reranker reads it."""
    passage = CandidatePassage(number=None, text=text, start=0, end=len(text))
    return Candidate(number=0, title="", passages=(passage,))
