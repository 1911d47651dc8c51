"""Text to learn from: documents streamed as the corpus readers do, plain text in pieces."""

import codecs
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from indexer.caches import file_sum
from indexer.corpus import Corpus
from indexer.corpus.entries import Entry, Row
from indexer.corpus.fields import NO_ID, BadRecord, Fields, Record
from indexer.corpus.formats import suffix_of
from indexer.corpus.inputs import resolve
from indexer.corpus.lines import STDIN, Source, unreadable
from indexer.corpus.text import read_text
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.passages import sentence_ends

# Work done so far, in a unit of the teller's, and the share of the input read, None if unknown.
Advance: TypeAlias = Callable[[int, float | None], None]

# Of plain text, which has no documents of its own, a document has at most so many characters.
DOCUMENT_CHARACTERS = 32_768
_BLOCK = 16_384  # bytes
_NAMED = 3
_LARGE = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How text is read: the fields of its title and text (None: the usual names), or bad lines."""

    title: str | None = None
    text: str | None = None
    skip_bad: bool = False


class Texts:
    """Stream some inputs' documents as strings, title and text on lines of their own, once."""

    def __init__(self, names: Sequence[str], reading: Reading) -> None:
        """Find the inputs.

        Raises:
            ClozeError: none is named, one isn't there or not known, or it is standard input.
        """
        if not names:
            raise ClozeError("no text is named; name files, folders or quoted patterns")
        if STDIN in names:
            raise ClozeError(
                "text is read more than once, and standard input can be only once; save it to a "
                "file and name that"
            )
        self.names = names
        self._reading = reading
        self._corpus = Corpus(
            names,
            fields=Fields(title=reading.title, text=reading.text, needs_id=False),
            skip_bad=reading.skip_bad,
            readers={read_text: read_plain_text},
        )

    def documents(self) -> Iterator[Document]:
        """Yield the documents with title and text apart, those without text too."""
        return iter(self._corpus)

    def __iter__(self) -> Iterator[str]:
        """Yield the documents, those without text too."""
        for document in self.documents():
            yield f"{document.title}\n{document.text}" if document.title else document.text

    def position(self) -> float | None:
        """Return the share of the inputs' bytes that has been read, None if it is unknown."""
        return self._corpus.position()

    def skipped(self) -> int:
        """Return how many bad lines, rows or files have been left out."""
        return self._corpus.counts.skipped

    def content_hash(self) -> str:
        """Hash what is read and how: each file's content and format, in order, and the fields."""
        found = hashlib.sha256(repr((self._reading.title, self._reading.text)).encode())
        for name in self.names:
            scheme = name.partition(":")[0] if ":" in name else ""
            for entry in resolve(name).entries():
                found.update(f"{scheme} {suffix_of(entry.path)} {_file_sum(entry)}\n".encode())
        return found.hexdigest()

    def describe(self) -> str:
        """Name the first inputs for a message."""
        more = len(self.names) - _NAMED
        return ", ".join(self.names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def read_plain_text(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield a text file as documents that `cut` makes, in memory that its length doesn't change."""
    held, line = "", 1
    try:
        for text in _pieces(source):
            held += text
            *whole, held = cut(held)
            for document in whole:
                yield line, Record(id=NO_ID, text=document)
                line = source.line
    except BadRecord as bad:
        yield source.line, bad
    if held:
        yield line, Record(id=NO_ID, text=held)


def cut(text: str) -> Iterator[str]:
    """Cut a text into documents of at most `DOCUMENT_CHARACTERS`, at least one, and lose nothing.

    Each ends with the last line that fits, else the last sentence, else the last word.
    """
    while len(text) > DOCUMENT_CHARACTERS:
        end = _last_border(text[:DOCUMENT_CHARACTERS])
        yield text[:end]
        text = text[end:]
    yield text


def _pieces(source: Source) -> Iterator[str]:
    """Yield a file's text by lines, those longer than a block by blocks."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    while block := source.piece(_BLOCK):
        yield _decoded(decoder, block, final=False)
    yield _decoded(decoder, b"", final=True)


def _decoded(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool) -> str:
    if b"\0" in block:
        raise BadRecord("a NUL byte, so this is no text", "leave the file out")
    try:
        return decoder.decode(block, final)
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise BadRecord(found, "save the file as UTF-8") from None


def _last_border(text: str) -> int:
    """Return where the last line ends, else the last whole sentence, else the last whole word."""
    if end := text.rfind("\n") + 1:
        return end
    ends = [end for end in sentence_ends(text) if end < len(text)]
    if ends:
        return ends[-1]
    if text[-1].isspace():
        return len(text)
    words = text.rsplit(maxsplit=1)
    return len(text) - len(words[-1]) if len(words) > 1 else len(text)


def _file_sum(entry: Entry) -> str:
    """Return a file's sha256; that of a large one is remembered while the file doesn't change."""
    try:
        if (entry.size or 0) > _LARGE:
            return file_sum(Path(entry.path))
        return hashlib.sha256(Path(entry.path).read_bytes()).hexdigest()
    except OSError as error:
        raise unreadable(entry.path, error) from None
