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
_WRITES = frozenset({"PUT", "DELETE", "PATCH"})
_WRITTEN_BY_POST = frozenset({"/v1/documents/delete", "/v1/index/compact"})
_PUBLIC = frozenset({"/", "/favicon.ico", "/health/live", "/health/ready"})
_ASSETS = "/assets/"
_NAMED = frozenset(
    {
        *_KINDS, *_PUBLIC, *_WRITTEN_BY_POST, _DOCUMENTS, "/v1/models", "/v1/index", "/metrics",
        "/openapi.json",
    }
)  # fmt: skip
_FAMILIES = (
    ("/v1/documents/", "/v1/documents/{id}"),
    ("/v1/models/", "/v1/models/{model}"),
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
    """Whether a request changes the index."""
    return method in _WRITES or (method == "POST" and path in _WRITTEN_BY_POST)


def takes_json(method: str, path: str) -> bool:
    """Whether a request must say that its body is JSON; of others the route takes no body."""
    if method == "POST":
        return path in _KINDS or path in _WRITTEN_BY_POST
    return method == "PUT" and path == _DOCUMENTS


def is_public(path: str) -> bool:
    """Whether a path needs no key: the page and its files, and how the service is."""
    return path in _PUBLIC or path.startswith(_ASSETS)


def is_service(path: str) -> bool:
    """Whether a path needs a service that answers."""
    return path.startswith(("/v1/", "/v2/"))
