"""A search as a client sends it, made into what the engine is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from indexer.filters import Filter
from search.api.body import validated
from search.api.conditions import read_filter
from search.api.errors import ApiError, within
from search.api.schemas import SearchBody
from search.hits import Request
from search.reranking.opening import LATE, NONE
from search.service.settings import Limits

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
# Query parameters that are not strings, by what reads them; else the string itself is the value.
_NUMBERS = frozenset({"top", "offset", "depth", "passages", "rerank_depth"})
_SHARES = frozenset({"weight", "rerank_weight"})
_SWITCHES = frozenset({"count", "highlight", "explain", "collapse"})
_MOST_PARAMETERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The engine's requests, one for each query, and whether the client sent a list of them."""

    requests: Sequence[Request]
    many: bool


def prepare(body: SearchBody, limits: Limits, served: str | None) -> Asked:
    """Check a search's limits and read its filter; `served` is the service's reranker.

    Raises:
        ApiError: 422, something in it is beyond a limit, or the filter is none.
    """
    queries = _queries(body)
    _check_limits(body, queries, limits)
    condition = None if body.filter is None else read_filter(body.filter, limits)
    rerank = _reranker(body.rerank, served)
    return Asked(
        requests=[_request(query, body, condition, rerank) for query in queries],
        many=body.queries is not None,
    )


def read_parameters(query_string: bytes) -> SearchBody:
    """Read a search from the parameters of a URL.

    Raises:
        ApiError: 400 for what is no UTF-8, 422 for what is no search.
    """
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )  # fmt: skip
    except UnicodeDecodeError:
        raise ApiError(400, "the URL's parameters are not UTF-8") from None
    except ValueError:
        raise ApiError(422, f"the URL has more than {_MOST_PARAMETERS} parameters") from None
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise ApiError(422, f"{name} is there twice; give it once", param=name)
        content[name] = _converted(name, value)
    if "q" not in content:
        raise ApiError(422, "q is missing", code="missing_field", param="q")
    if other := next((name for name in ("query", "queries") if name in content), None):
        raise ApiError(
            422, f"there is no field '{other}'; did you mean q?", code="unknown_field", param=other
        )
    content["query"] = content.pop("q")
    return validated(SearchBody, content)


def _converted(name: str, value: str) -> object:
    """Return what a parameter's text means; what means nothing is left for the schema to refuse."""
    if name in _NUMBERS:
        digits = value.removeprefix("-")
        # As many digits as any number within the limits could need.
        return int(value) if digits.isdecimal() and digits.isascii() and len(value) < 16 else value
    if name in _SHARES:
        return _share(value)
    if name in _SWITCHES or name == "rerank":
        return _TRUTHS.get(value, value)
    if name == "facets":
        return [field.strip() for field in value.split(",") if field.strip()]
    return value


def _share(value: str) -> object:
    try:
        return float(value)
    except ValueError:
        return value


def _queries(body: SearchBody) -> Sequence[str]:
    if body.model_fields_set >= {"query", "queries"}:
        raise ApiError(422, "there are both query and queries; give one of them", param="queries")
    if body.query is not None:
        return [body.query]
    if body.queries is None:
        raise ApiError(422, "query is missing", code="missing_field", param="query")
    return body.queries


def _check_limits(body: SearchBody, queries: Sequence[str], limits: Limits) -> None:
    within(len(queries), limits.batch, param="queries", flag="--max-batch", counted="queries")
    for query in queries:
        within(
            len(query), limits.query, param="queries" if body.queries else "query",
            flag="--max-query", counted="characters",
        )  # fmt: skip
    within(body.top, limits.top, param="top", flag="--max-top")
    within(
        body.offset + body.top, limits.reach, param="offset", flag="--max-reach",
        counted="hits before the page's end",
    )  # fmt: skip
    within(
        len(queries) * body.top, limits.reach, param="queries", flag="--max-reach",
        counted="hits in all",
    )  # fmt: skip
    within(body.depth or 0, limits.reach, param="depth", flag="--max-reach")
    within(body.passages, limits.passages, param="passages", flag="--max-passages")
    within(
        body.rerank_depth or 0, limits.rerank_depth, param="rerank_depth",
        flag="--max-rerank-depth",
    )  # fmt: skip
    within(len(body.facets), limits.facets, param="facets", flag="--max-facets", counted="fields")


def _reranker(wanted: bool | str | None, served: str | None) -> str | None:
    """Return the engine's name of a reranker; a client names none that was not served."""
    if wanted is None:
        return None
    if wanted is False or wanted in (NONE, LATE):
        return wanted or NONE
    if served in (None, NONE):
        raise ApiError(
            422, "the service has no reranker; start it with --rerank MODEL, or ask for late",
            param="rerank",
        )  # fmt: skip
    if wanted == "cross-encoder" and served == LATE:
        raise ApiError(
            422, "the service has no cross-encoder, its reranker is late; start it with "
            "--rerank MODEL", param="rerank",
        )  # fmt: skip
    return served


def _request(query: str, body: SearchBody, condition: Filter | None, rerank: str | None) -> Request:
    return Request(
        query=query, top=body.top, offset=body.offset, mode=body.mode, fusion=body.fusion,
        weight=body.weight, depth=body.depth, filter=condition, passages=body.passages,
        count=body.count, facets=tuple(body.facets), collapse=body.collapse,
        explain=body.explain, highlight=body.highlight, rerank=rerank,
        rerank_depth=body.rerank_depth, rerank_weight=body.rerank_weight,
    )  # fmt: skip
