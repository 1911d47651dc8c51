"""What is indexed: documents, and the passages that the encoder reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from indexer.errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a corpus; the id is the user's, metadata are JSON values by field."""

    id: str
    text: str
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A window of a document's text: code points [start, end), and what the encoder reads."""

    start: int
    end: int
    text: str


def check(document: Document) -> None:
    """Check that an index can give a document back as it is.

    Raises:
        RequestError: the id is no string or empty, title or text is no string, one has a lone
            surrogate, or metadata hold what JSON can't.
    """
    parts = (document.id, document.title, document.text)
    if not all(isinstance(part, str) for part in parts) or not document.id:
        raise RequestError(
            f"the document {document.id!r} needs an id that is not empty, a title and a text, all "
            "strings"
        )
    try:
        for part in (*parts, json.dumps(document.metadata, allow_nan=False, ensure_ascii=False)):
            part.encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise RequestError(
            f"the document {document.id!r} can't be stored ({error}); use JSON values, and text "
            "without lone surrogates"
        ) from None
