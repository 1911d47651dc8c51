"""How deep a reranker reads in the time it is given, by its speed in this process."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from search.reranking.reranker import Candidate

# A batch so small says little of the speed: what a call costs in any case weighs too much in it.
LEAST_TIMED = 4
# So many batches back; what the machine did before no longer counts.
_REMEMBERED = 32


class Speed:
    """A reranker's running speed: the median of its last batches, in ms for a code point read.

    Code points stand for tokens, to which they are nearly in proportion, so that no text has to be
    tokenised before it is known to fit.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._measured: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def known(self) -> float | None:
        """Milliseconds for a code point, None before the first batch."""
        if not self._measured:
            return None
        from statistics import median  # takes milliseconds to load, which most searches don't need

        return median(self._measured)

    @contextmanager
    def measuring(self, query: str, candidates: Sequence[Candidate]) -> Iterator[None]:
        """Time a batch; one of fewer than four candidates is not counted."""
        begin = perf_counter()
        yield
        took = (perf_counter() - begin) * 1000
        read = sum(length(query, candidate) for candidate in candidates)
        if len(candidates) >= LEAST_TIMED and read:
            self._measured.append(took / read)


def length(query: str, candidate: Candidate) -> int:
    """Return how many code points are read for a candidate: each passage, with the query."""
    return sum(len(query) + len(passage.text) for passage in candidate.passages)


def fitting(lengths: Iterable[int], speed: float, budget_ms: float) -> int:
    """Return how many texts, from the first on, fit into the time; no more are looked at."""
    count, took = 0, 0.0
    for each in lengths:
        took += each * speed
        if took > budget_ms:
            break
        count += 1
    return count
