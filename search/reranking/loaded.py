"""Rerankers that were loaded once and stay, each with its speed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from indexer.index import Index
from indexer.manifest import EncoderSeal
from search.reranking import opening
from search.reranking.budget import Speed
from search.reranking.reranker import Aligning, Reranker


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A reranker under the name that it was asked by."""

    name: str
    reranker: Reranker
    speed: Speed = field(default_factory=Speed)


class Rerankers:
    """The rerankers of one index, loaded at first use."""

    def __init__(self, index: Index) -> None:
        """Load nothing yet."""
        self._index = index
        self._loaded: dict[tuple[str, EncoderSeal | None], Loaded] = {}

    def get(self, name: str) -> Loaded:
        """Return a reranker by its name; late is loaded anew when the index was reindexed.

        Raises:
            ClozeError: as `opening.open_reranker`.
        """
        key = name, self._index.manifest.encoder if name == opening.LATE else None
        if key not in self._loaded:
            reranker = opening.open_reranker(name, self._index)
            self._loaded = {each: kept for each, kept in self._loaded.items() if each[0] != name}
            self._loaded[key] = Loaded(name=name, reranker=reranker)
        return self._loaded[key]

    def aligning(self, names: Sequence[str]) -> Aligning | None:
        """Return the first of these rerankers that can align, None where none can.

        Raises:
            ClozeError: as `get`.
        """
        rerankers = (self.get(name).reranker for name in names)
        return next((each for each in rerankers if isinstance(each, Aligning)), None)
