"""The requests of a load as the bytes of HTTP/1.1, made before the clock starts."""

import json
from collections.abc import Mapping
from typing import Any

from indexer.documents import Document


def search_request(query: str, port: int) -> str:
    """Ask for ten hits, with snippets and highlights as a page would."""
    return _message("POST", "/v1/search", {"query": query}, port)


def put_request(document: Document, port: int) -> str:
    """Write one document."""
    record = {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": dict(document.metadata),
    }
    return _message("PUT", "/v1/documents", {"documents": [record]}, port)


def _message(method: str, path: str, body: Mapping[str, Any], port: int) -> str:
    # In ASCII, so that the length in characters is that in bytes.
    text = json.dumps(body)
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}"
    )
