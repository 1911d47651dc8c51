"""Judging by a person: where it is, how far, and the way back."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from time import monotonic

from eval.judgement_file import JudgementFile
from eval.pooling import Pool
from search.runs import column

_PACE_FROM = 3  # judgements before their pace says something


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One document to judge: query and document counted from 1 among all there are."""

    pool: Pool
    document: str
    query_number: int
    queries: int
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the judging is; `seconds_left` is None until the judge's own pace is known."""

    judged: int
    documents: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCounts:
    """A query's pool when the judging ends: its documents, those judged and those relevant."""

    text: str
    documents: int
    judged: int
    relevant: int


class Session:
    """A walk through all documents that are not judged yet, forward and back."""

    def __init__(
        self,
        pools: Sequence[Pool],
        file: JudgementFile,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Begin at the first document without a judgement; `clock` tells seconds."""
        self._pools = pools
        self._file = file
        self._clock = clock
        self._items = tuple(self._unjudged())
        self._at = 0
        self._way: list[int] = []
        self._paces: list[float] = []
        self._since = clock()

    def _unjudged(self) -> Iterable[Item]:
        for number, pool in enumerate(self._pools, 1):
            for place, document in enumerate(pool.documents, 1):
                if column(document) not in self._file.grades(pool.query):
                    yield Item(
                        pool=pool,
                        document=document,
                        query_number=number,
                        queries=len(self._pools),
                        place=place,
                    )

    @property
    def current(self) -> Item | None:
        """The document to judge now, None at the end."""
        return self._items[self._at] if self._at < len(self._items) else None

    @property
    def started(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._way)

    def judge(self, grade: int) -> None:
        """Grade the current document, and go on when that is on disk."""
        item = self._items[self._at]
        self._file.add(item.pool.query, item.document, grade)
        self._paces.append(self._clock() - self._since)
        self._go(self._at + 1)

    def skip(self) -> None:
        """Leave the current document to the next session."""
        self._go(self._at + 1)

    def next_query(self) -> None:
        """Leave the rest of the current query to the next session."""
        here = self._items[self._at].query_number
        after = self._at
        while after < len(self._items) and self._items[after].query_number == here:
            after += 1
        self._go(after)

    def undo(self) -> bool:
        """Go back one step, and take back the judgement it made; False where there is none."""
        if not self._way:
            return False
        self._at = self._way.pop()
        item = self._items[self._at]
        if column(item.document) in self._file.grades(item.pool.query):
            self._file.remove(item.pool.query, item.document)
        self._since = self._clock()
        return True

    def _go(self, place: int) -> None:
        self._way.append(self._at)
        self._at = place
        self._since = self._clock()

    def progress(self) -> Progress:
        """Tell how far this is; the time left goes by the median, so that a pause counts little."""
        counts = self.counts()
        left = None
        if len(self._paces) >= _PACE_FROM:
            left = median(self._paces) * (len(self._items) - self._at)
        return Progress(
            judged=sum(each.judged for each in counts),
            documents=sum(each.documents for each in counts),
            seconds_left=left,
        )

    def counts(self) -> list[QueryCounts]:
        """Count every query's judgements, earlier sessions' included; relevant is above 0."""
        return [
            QueryCounts(
                text=pool.text,
                documents=len(pool.documents),
                judged=sum(
                    column(each) in self._file.grades(pool.query) for each in pool.documents
                ),
                relevant=sum(grade > 0 for grade in self._file.grades(pool.query).values()),
            )
            for pool in self._pools
        ]
