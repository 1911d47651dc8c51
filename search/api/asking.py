"""A search as a client sends it, made into what the engine is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from indexer.filters import Filter
from search.api.body import validated
from search.api.conditions import read_filter
from search.api.errors import ApiError, within
from search.api.schemas import SearchBody, SearchOptions, SearchParameters
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


def asked_in_body(content: object, limits: Limits, served: str | None) -> Asked:
    """Read a search from a body's JSON; `served` is the service's reranker.

    Raises:
        ApiError: 422, it is no search, or beyond a limit.
    """
    body = validated(SearchBody, content)
    if body.model_fields_set >= {"query", "queries"}:
        raise ApiError(422, "there are both query and queries; give one of them", param="queries")
    if body.queries is not None:
        within(
            len(body.queries), limits.batch, param="queries", flag="--max-batch", counted="queries"
        )
        return _asked(body, body.queries, "queries", limits, served)
    if body.query is None:
        raise ApiError(422, "query is missing", code="missing_field", param="query")
    return _asked(body, [body.query], "query", limits, served)


def asked_in_url(query_string: bytes, limits: Limits, served: str | None) -> Asked:
    """Read a search from the parameters of a URL.

    Raises:
        ApiError: 400 for what is no UTF-8, 422 for what is no search, or beyond a limit.
    """
    parameters = validated(SearchParameters, _parameters(query_string))
    return _asked(parameters, [parameters.q], "q", limits, served)


def _asked(
    options: SearchOptions, queries: Sequence[str], name: str, limits: Limits, served: str | None
) -> Asked:
    """Make the engine's requests; `name` is what the client calls its query, or its queries."""
    for query in queries:
        within(len(query), limits.query, param=name, flag="--max-query", counted="characters")
    if "top" not in options.model_fields_set:  # what nobody asked for is within every limit
        options = options.model_copy(update={"top": min(options.top, limits.top)})
    _check_limits(options, limits)
    within(
        len(queries) * options.top, limits.reach, param=name, flag="--max-reach",
        counted="hits in all",
    )  # fmt: skip
    condition = None if options.filter is None else read_filter(options.filter, limits)
    rerank = _reranker(options.rerank, served)
    return Asked(
        requests=[_request(query, options, condition, rerank) for query in queries],
        many=name == "queries",
    )


def _parameters(query_string: bytes) -> dict[str, Any]:
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
    return content


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


def _check_limits(options: SearchOptions, limits: Limits) -> None:
    within(options.top, limits.top, param="top", flag="--max-top")
    within(
        options.offset + options.top, limits.reach, param="offset", flag="--max-reach",
        counted="hits before the page's end",
    )  # fmt: skip
    within(options.depth or 0, limits.reach, param="depth", flag="--max-reach")
    within(options.passages, limits.passages, param="passages", flag="--max-passages")
    within(
        options.rerank_depth or 0, limits.rerank_depth, param="rerank_depth",
        flag="--max-rerank-depth",
    )  # fmt: skip
    within(
        len(options.facets), limits.facets, param="facets", flag="--max-facets", counted="fields"
    )


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


def _request(
    query: str, options: SearchOptions, condition: Filter | None, rerank: str | None
) -> Request:
    return Request(
        query=query, top=options.top, offset=options.offset, mode=options.mode,
        fusion=options.fusion, weight=options.weight, depth=options.depth, filter=condition,
        passages=options.passages, count=options.count, facets=tuple(options.facets),
        collapse=options.collapse, explain=options.explain, highlight=options.highlight,
        rerank=rerank, rerank_depth=options.rerank_depth, rerank_weight=options.rerank_weight,
    )  # fmt: skip
