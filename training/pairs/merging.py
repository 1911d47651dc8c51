"""Rows put together by query: one query is one example, however many rows it comes in."""

from array import array
from collections import Counter
from collections.abc import Iterator

from training.pairs.example import Example
from training.pairs.identity import digest
from training.pairs.row import Row

UNKNOWN_QUERY = "negatives of a query that the pairs lack"


class _Gathered:
    """What is known of one query, as numbers of texts; the same number may come again."""

    __slots__ = ("negatives", "positives", "scores")

    def __init__(self) -> None:
        self.positives = array("I")
        self.negatives = array("I")
        self.scores: dict[int, float] | None = None


class Merging:
    """Gather rows; texts that are one by `identity` are one, as it was spelled first.

    Each text is held once, and a row in four bytes a passage.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.rows = 0
        # The queries without a positive so far that no label or grade tells of: where they stood.
        self.without: dict[int, tuple[str, int | str]] = {}
        self._numbers: dict[bytes, int] = {}
        self._spelled: dict[str, int] = {}
        self._texts: list[str] = []
        self._queries: dict[int, _Gathered] = {}

    def add(self, row: Row, name: str, place: int | str) -> None:
        """Take a row that stands at a place of an input."""
        self.rows += 1
        query = self._number(row.query)
        gathered = self._queries.setdefault(query, _Gathered())
        gathered.positives.extend(map(self._number, row.positives))
        self._add_negatives(gathered, row)
        if gathered.positives:
            self.without.pop(query, None)
        elif not row.judged:
            self.without.setdefault(query, (name, place))

    def add_negatives(self, row: Row) -> bool:
        """Take the negatives and the scores of a row, if its query is known; tell whether it is."""
        gathered = self._queries.get(self._numbers.get(digest(row.query), -1))
        if gathered is not None:
            self._add_negatives(gathered, row)
        return gathered is not None

    def examples(self, merged: Counter[str]) -> Iterator[Example]:
        """Yield the examples, in the order in which their queries came; those with a positive.

        `merged` counts what was one with another.
        """
        texts = self._texts
        merged["rows of a query that came before"] += self.rows - len(self._queries)
        for query, gathered in self._queries.items():
            positives = dict.fromkeys(gathered.positives)
            listed = dict.fromkeys(gathered.negatives)
            negatives = [number for number in listed if number not in positives]
            merged["positives given again"] += len(gathered.positives) - len(positives)
            merged["negatives given again"] += len(gathered.negatives) - len(listed)
            merged["negatives that are a positive of the query"] += len(listed) - len(negatives)
            if positives:
                yield Example(
                    query=texts[query],
                    positives=tuple(texts[number] for number in positives),
                    negatives=tuple(texts[number] for number in negatives),
                    scores=_scores(gathered, [*positives, *negatives]),
                )

    def partly_scored(self) -> int:
        """Return how many queries have scores of some of their passages and not of all."""
        return sum(
            gathered.scores is not None
            and not gathered.scores.keys() >= {*gathered.positives, *gathered.negatives}
            for gathered in self._queries.values()
        )

    def left_out(self, kept: int) -> dict[str, int]:
        """Return how many queries are not among the `kept` examples, by reason."""
        return {
            "without a positive": len(self.without),
            "whose labels or grades tell of no positive": (
                len(self._queries) - kept - len(self.without)
            ),
        }

    def _add_negatives(self, gathered: _Gathered, row: Row) -> None:
        gathered.negatives.extend(map(self._number, row.negatives))
        if row.scores is not None:
            known = gathered.scores = gathered.scores or {}
            for text, score in zip((*row.positives, *row.negatives), row.scores, strict=True):
                known.setdefault(self._number(text), score)

    def _number(self, text: str) -> int:
        # Most texts that come again are spelled as before, and need no digest.
        number = self._spelled.get(text)
        if number is None:
            number = self._numbers.setdefault(digest(text), len(self._texts))
            if number == len(self._texts):
                self._texts.append(text)
                self._spelled[text] = number
        return number


def _scores(gathered: _Gathered, numbers: list[int]) -> tuple[float, ...] | None:
    known = gathered.scores
    if known is None or not all(number in known for number in numbers):
        return None
    return tuple(known[number] for number in numbers)
