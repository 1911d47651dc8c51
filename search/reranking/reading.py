"""One query's documents as rerankers read them: none is read or scored twice."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from indexer.errors import ClozeError
from indexer.index import Index
from search.reranking.budget import length
from search.reranking.candidates import read_candidates
from search.reranking.loaded import Loaded
from search.reranking.reranker import Candidate, Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Documents that are read at once where it is not known how many will be wanted.
_CHUNK = 32


class Reading:
    """What has been read for one query at one commit, and how it scored by each reranker."""

    def __init__(self, index: Index, query: str, vector: "NDArray[np.float32] | None") -> None:
        """Read nothing yet; passages will be those nearest to `vector` [dimension], if given."""
        self._index = index
        self._query = query
        self._vector = vector
        # By how many passages were read of each document, then by its number.
        self._candidates: dict[int, dict[int, Candidate]] = {}
        self._scored: dict[str, dict[int, Scored]] = {}

    def candidates(self, numbers: Sequence[int], count: int) -> list[Candidate]:
        """Return documents by their numbers, in this order, with `count` passages at most.

        Raises:
            DamagedIndexError: one is not what was written.
        """
        known = self._candidates.setdefault(count, {})
        if new := [number for number in numbers if number not in known]:
            known |= read_candidates(self._index, self._query, self._vector, new, count)
        return [known[number] for number in numbers]

    def lengths(self, numbers: Sequence[int], count: int) -> Iterator[int]:
        """Yield how many code points each document takes to score, reading a few ahead."""
        for start in range(0, len(numbers), _CHUNK):
            for candidate in self.candidates(numbers[start : start + _CHUNK], count):
                yield length(self._query, candidate)

    def scores(self, loaded: Loaded, numbers: Sequence[int]) -> list[Scored]:
        """Return documents' scores by a reranker, in this order.

        Raises:
            ClozeError: a score is no finite number.
            DamagedIndexError: a document is not what was written.
        """
        known = self._scored.setdefault(loaded.name, {})
        missing = [number for number in numbers if number not in known]
        if new := self.candidates(missing, loaded.reranker.passages):
            with loaded.speed.measuring(self._query, new):
                scored = loaded.reranker.score(self._query, new)
            for candidate, each in zip(new, scored, strict=True):
                if each.score is not None and not isfinite(each.score):
                    raise ClozeError(
                        f"{loaded.name} gave a document the score {each.score}, not a finite "
                        "number; choose another --rerank, or CLOZE_PRECISION=fp32"
                    )
                known[candidate.number] = each
        return [known[number] for number in numbers]
