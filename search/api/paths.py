"""What a path means before any route has seen it: its name in figures, its kind, who may ask."""

from collections.abc import Mapping

# What waits in one of the service's queues, by path; a write by its method too.
_KINDS: Mapping[str, str] = {
    "/v1/search": "searches",
    "/v1/embeddings": "texts",
    "/v1/rerank": "texts",
    "/v2/rerank": "texts",
}
_DOCUMENTS = "/v1/documents"
_MODELS = "/v1/models"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_WRITTEN_BY_POST = frozenset({"/v1/documents/delete", "/v1/index/compact"})
_PUBLIC = frozenset({"/", "/favicon.ico", "/health/live", "/health/ready"})
_ASSETS = "/assets/"
_METRICS = "/metrics"
_NAMED = frozenset(
    {
        *_KINDS, *_PUBLIC, *_WRITTEN_BY_POST, _DOCUMENTS, _MODELS, "/v1/index", _METRICS,
        "/openapi.json",
    }
)  # fmt: skip
_FAMILIES = (
    (f"{_DOCUMENTS}/", f"{_DOCUMENTS}/{{id}}"),
    (f"{_MODELS}/", f"{_MODELS}/{{model}}"),
    (_ASSETS, "/assets/{file}"),
)


def label(path: str) -> str:
    """Return the route's name in figures, of which there are few, whatever is asked for."""
    if path in _NAMED:
        return path
    return next((name for prefix, name in _FAMILIES if path.startswith(prefix)), "other")


def kind(method: str, path: str) -> str | None:
    """Return which queue a request will wait in: searches, texts or writes, None for none."""
    if path in _KINDS:
        return _KINDS[path]
    return "writes" if writes(method, path) and path.startswith(_DOCUMENTS) else None


def writes(method: str, path: str) -> bool:
    """Whether a request may change the index: all do that are not known to read."""
    return method not in _READING and not (method == "POST" and path in _KINDS)


def takes_json(method: str, path: str) -> bool:
    """Whether a request must say that its body is JSON; of others the route takes no body."""
    if method == "POST":
        return path in _KINDS or path in _WRITTEN_BY_POST
    return method == "PUT" and path == _DOCUMENTS


def is_inexact(method: str, path: str) -> bool:
    """Whether a path ends in a line break that no route has, and that routing would overlook.

    The `$` of a route's pattern matches before a final line break too; ids alone may have one.
    """
    if not path.endswith("\n"):
        return False
    document = path.startswith(f"{_DOCUMENTS}/") and method in ("GET", "HEAD", "DELETE")
    model = path.startswith(f"{_MODELS}/") and method in ("GET", "HEAD")
    return not (document or model)


def is_public(path: str) -> bool:
    """Whether a path needs no key: the page and its files, and how the service is."""
    return path in _PUBLIC or path.startswith(_ASSETS)


def is_service(path: str) -> bool:
    """Whether a path needs a service that answers."""
    return path.startswith(("/v1/", "/v2/"))


def tells(path: str) -> bool:
    """Whether a path tells of the index, or works for it, which no foreign page may ask for."""
    return is_service(path) or path == _METRICS
