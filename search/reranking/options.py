"""What a request leaves open about reranking, filled in and checked."""

from dataclasses import replace

from indexer.errors import RequestError
from indexer.manifest import Defaults
from search.hits import Request
from search.reranking.opening import LATE, NONE

DEPTH = 50
# Late interaction's was chosen on development questions: docs/results.md. A cross-encoder trained
# for ranking mostly outdoes the first stage.
_LATE_WEIGHT = 0.6
_CROSS_ENCODER_WEIGHT = 0.7


def resolve_rerank(request: Request, stored: Defaults) -> Request:
    """Fill in reranker, depth and weight; the index's depth and weight are for its own reranker.

    Raises:
        RequestError: a number is out of its range, depth and budget are both given, or there is
            something to say about a reranker, and none.
    """
    name = request.rerank if request.rerank is not None else stored.rerank or NONE
    _check(request, name)
    if name == NONE:
        return replace(request, rerank=NONE)
    depth = request.rerank_depth
    if depth is None and request.rerank_budget_ms is None:
        depth = (stored.rerank_depth if name == stored.rerank else None) or DEPTH
    weight = request.rerank_weight
    if weight is None:
        weight = stored_weight(name, stored)
    return replace(request, rerank=name, rerank_depth=depth, rerank_weight=weight)


def stored_weight(name: str, stored: Defaults) -> float:
    """Return a reranker's weight where a request does not say: the index's own, else built-in."""
    if name == stored.rerank and stored.rerank_weight is not None:
        return stored.rerank_weight
    return _LATE_WEIGHT if name == LATE else _CROSS_ENCODER_WEIGHT


def _check(request: Request, name: str) -> None:
    if not name.strip():
        raise RequestError(
            f"rerank is {name!r}; name late, none, a checkpoint folder or a hub id, or leave it "
            "out",
            param="rerank",
        )
    depth, budget, weight = request.rerank_depth, request.rerank_budget_ms, request.rerank_weight
    given = {"rerank_depth": depth, "rerank_budget_ms": budget, "rerank_weight": weight}
    for option, value in given.items():
        if value is not None and name == NONE:
            raise RequestError(
                f"{option} is {value:g}, and rerank is none; name a reranker, or late",
                param=option,
            )
    if depth is not None and depth < 1:
        raise RequestError(f"rerank_depth is {depth}; it must be 1 or more", param="rerank_depth")
    if depth is not None and budget is not None:
        raise RequestError(
            f"rerank_depth is {depth} and rerank_budget_ms is {budget:g}; give one of the two",
            param="rerank_depth",
        )
    if budget is not None and not 0 < budget < float("inf"):
        raise RequestError(
            f"rerank_budget_ms is {budget:g}; it must be a finite number above 0",
            param="rerank_budget_ms",
        )
    if weight is not None and not 0 <= weight <= 1:
        raise RequestError(
            f"rerank_weight is {weight:g}; it must lie between 0 and 1", param="rerank_weight"
        )
