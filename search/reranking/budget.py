"""How deep a reranker reads in the time it is given, by its speed in this process."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from search.reranking.reranker import Candidate

# So many batches back; what the machine did before no longer counts. Few, so that after a slow
# spell five quick batches suffice, however small.
_REMEMBERED = 9


class Speed:
    """A reranker's running speed: the median of its last batches, in ms for a code point read.

    Code points stand for tokens, to which they are nearly in proportion, so that no text has to be
    tokenised before it is known to fit. The first batch sets up what later ones find ready, and is
    not counted.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._measured: deque[float] = deque(maxlen=_REMEMBERED)
        self._warm = False

    @property
    def warm(self) -> bool:
        """Whether the first batch is over, so that the next one counts."""
        return self._warm

    @property
    def known(self) -> float | None:
        """Milliseconds for a code point, None before the second batch."""
        if not self._measured:
            return None
        from statistics import median  # takes milliseconds to load, which most searches don't need

        return median(self._measured)

    @contextmanager
    def measuring(self, query: str, candidates: Sequence[Candidate]) -> Iterator[None]:
        """Time a batch; the first one that reads anything is not counted."""
        begin = perf_counter()
        yield
        took = (perf_counter() - begin) * 1000
        read = sum(length(query, candidate) for candidate in candidates)
        if read and self._warm:
            self._measured.append(took / read)
        self._warm = self._warm or read > 0


def length(query: str, candidate: Candidate) -> int:
    """Return how many code points are read for a candidate: each passage, with the query."""
    return sum(len(query) + len(passage.text) for passage in candidate.passages)


def fitting(lengths: Iterable[int], speed: float, left_ms: Callable[[], float]) -> int:
    """Return how many texts, from the first on, fit into the time; no more are looked at.

    `left_ms` is asked at each text, since reading them takes from the time too.
    """
    count, took = 0, 0.0
    for each in lengths:
        took += each * speed
        if took > left_ms():
            break
        count += 1
    return count
