"""What is indexed: documents, and the passages that the encoder reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
