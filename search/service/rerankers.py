"""Rerankers whose models run in the models' thread."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexer.errors import ClozeError
from search.engine import SearchEngine
from search.hits import Request
from search.reranking.opening import LATE, NONE
from search.service.models import Models

if TYPE_CHECKING:
    from search.reranking.crossencoder import CrossEncoder

_WARM = "warm"
# Words of pairs that are scored before the first query comes, several for each thread's stream.
_WARM_WORDS = (10, 40, 70, 100, 130, 160, 190, 220)


class SharedRerankers:
    """The rerankers of one engine, each loaded while no other model runs."""

    def __init__(self, served: str | None, models: Models) -> None:
        """Load none yet; `served` is the reranker that a service offers."""
        self._served = served
        self._models = models
        self._shared: set[str] = set()
        self.cross_encoder: CrossEncoder | None = None

    def warm(self, engine: SearchEngine) -> None:
        """Load the served reranker and the index's default one, in the thread that uses them.

        Raises:
            ClozeError: the served one can't be had.
        """
        self._models.serve_as("pairs")
        if self._served not in (None, NONE):
            self.cross_encoder = self._load(engine, self._served)
        default = engine.index.manifest.defaults.rerank
        if default not in (None, NONE, self._served):
            self._try(engine, default)

    def share(self, engine: SearchEngine, requests: Sequence[Request]) -> None:
        """Load the cross-encoders that requests are the first to need."""
        names = {request.rerank or engine.index.manifest.defaults.rerank for request in requests}
        for name in names - {None, NONE, LATE} - self._shared:
            self._try(engine, name)

    def _try(self, engine: SearchEngine, name: str | None) -> None:
        try:
            self._load(engine, name)
        except ClozeError:
            return  # the request that needs it is told

    def _load(self, engine: SearchEngine, name: str | None) -> "CrossEncoder | None":
        """Load a reranker; late interaction uses the handle's encoder, which is shared already."""
        from search.reranking.crossencoder import CrossEncoder

        with self._models.exclusive():
            reranker = engine.reranker(name or NONE)
            if isinstance(reranker, CrossEncoder):
                reranker.predict([(_WARM, " ".join([_WARM] * words)) for words in _WARM_WORDS])
                reranker.share(self._models.run)
        self._shared.add(name or NONE)
        return reranker if isinstance(reranker, CrossEncoder) else None
