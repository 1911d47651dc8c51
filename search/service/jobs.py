"""What the service has accepted to do for its readers."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from indexer.documents import Document
from indexer.errors import ClozeError
from search.hits import Request, Results
from search.reranking.opening import NONE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.index import Index
    from indexer.manifest import EncoderSeal
    from indexer.runtime.rows import TokenRow
    from search.retrieval import Ahead
    from search.service.handles import Served


@dataclass(slots=True, kw_only=True, eq=False)
class Search:
    """Requests to be answered at one commit.

    `dense` are the places of those that need a query vector; `vectors`, by place, are what the
    encoder of `seal` made of them, `rows` the tokens of those that it has not come to; `ahead`, by
    place, are their lexical stages.
    """

    requests: Sequence[Request]
    deadline: float
    slow: bool
    dense: Sequence[int]
    arrived: float = field(default_factory=monotonic)
    future: "Future[list[Results | ClozeError]]" = field(default_factory=Future)
    vectors: "dict[int, NDArray[np.float32]]" = field(default_factory=dict)
    seal: "EncoderSeal | None" = None
    rows: "dict[int, TokenRow]" = field(default_factory=dict)
    ahead: "dict[int, Ahead | None]" = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many queries it has."""
        return len(self.requests)


def search_for(requests: Sequence[Request], served: "Served", deadline: float) -> Search:
    """Make a search of requests, slow if one of them reranks or explains.

    Where a request does not say, the reranker is the one that is served now, whatever the index's
    default has become meanwhile.
    """
    requests = [
        replace(request, rerank=served.rerank) if request.rerank is None else request
        for request in requests
    ]
    slow = any(request.explain or request.rerank != NONE for request in requests)
    dense = [
        place
        for place, request in enumerate(requests)
        if served.seal is not None and request.mode != "lexical" and request.query.strip()
    ]
    return Search(requests=requests, deadline=deadline, slow=slow, dense=dense)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A document as one commit of the index, named by its version, has it."""

    document: Document
    version: str


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """Something else to be read from an index at one commit; `kind` is document or describe."""

    kind: str
    read: "Callable[[Index], Any]"
    deadline: float
    arrived: float = field(default_factory=monotonic)
    future: "Future[Any]" = field(default_factory=Future)
    size: int = 1
