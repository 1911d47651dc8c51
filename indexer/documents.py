"""What is indexed: documents, and the passages that the encoder reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a corpus: an id of the user's, a title, a text, and metadata of JSON values."""

    id: str
    text: str
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A window of a document's text: code points [start, end), and the string that the encoder reads."""

    start: int
    end: int
    text: str
