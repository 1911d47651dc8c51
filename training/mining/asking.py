"""The index's rankings for many queries at once, and the documents that stand in them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from indexer.index import Index
from search.answer import mode_of
from search.engine import Ranked, SearchEngine
from search.hits import Mode, Request
from search.integrity import intact
from search.reranking.candidates import read_candidates
from search.reranking.opening import NONE
from training.mining.overlap import spelled
from training.pairs.example import titled

if TYPE_CHECKING:
    from search.reranking.reranker import Reranker

# Characters of documents that are held ready, for the same ones stand in many rankings.
_MOST_HELD = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A document as the rules look at it: its number, and its title and text `spelled`."""

    number: int
    words: str


class Asking:
    """An index asked for whole rankings, as its search makes them by its own defaults.

    Use it while the index is being read.
    """

    def __init__(self, index: Index, mode: Mode | None, least_depth: int) -> None:
        """Take the mode, None for the index's own; each retrieval reaches to `least_depth`.

        Raises:
            ClozeError: the index has no vectors for the mode.
        """
        self.index = index
        self._engine = engine = SearchEngine(index)
        depth = max(engine.depth, least_depth)
        asked = Request(query="", mode=mode, depth=depth, top=2 * depth, rerank=NONE)
        self._request = engine.resolve(asked)
        self.mode, self.depth = mode_of(self._request), depth
        self._held: dict[str, Seen] = {}
        self._characters = 0

    def close(self) -> None:
        """End the threads."""
        self._engine.close()

    def reranker(self, name: str) -> "Reranker":
        """Return a reranker by its name.

        Raises:
            ClozeError: it can't be had.
        """
        return self._engine.reranker(name)

    def rank(self, queries: Sequence[str]) -> list[Ranked]:
        """Rank for queries, each as a search of its own would, to the depth of its retrievals."""
        return self._engine.rank_each([replace(self._request, query=query) for query in queries])

    def seen(self, ids: Sequence[str]) -> dict[str, Seen]:
        """Return documents by their ids.

        Raises:
            DamagedIndexError: one is not what was written.
        """
        if self._characters > _MOST_HELD:
            self._held, self._characters = {}, 0
        missing = [each for each in dict.fromkeys(ids) if each not in self._held]
        rows = self.index.store.live(missing, self.index.sequence)
        documents = intact(self.index, [row.number for row in rows.values()])
        for number, document in documents.items():
            words = spelled(titled(document.title, document.text))
            self._held[document.id] = Seen(number=number, words=words)
            self._characters += len(words)
        return {each: self._held[each] for each in ids}

    def passages(self, query: str, ranking: Ranked, numbers: Sequence[int]) -> dict[int, str]:
        """Return documents' best passages for a query, by number; "" for one without any text.

        It is what an encoder reads of the document when it is searched, title in front: the nearest
        passage to the query, in a lexical ranking the window of about 1,000 characters with most of
        its words.
        """
        found = read_candidates(self.index, query, ranking.vector, numbers, 1)
        return {
            number: each.passages[0].text.strip() if each.passages else ""
            for number, each in found.items()
        }
