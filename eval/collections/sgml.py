"""TREC's SGML: topics and documents, with tags closed or not."""

import gzip
import html
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer.corpus.entries import walk
from indexer.corpus.lines import Source
from indexer.documents import Document
from indexer.errors import ClozeError
from search.files import text_lines
from search.queries import read_queries

_SNIFFED = 1 << 16  # bytes in which the first tag must come
_LIMIT = 64 * 2**20  # bytes of one document, and of one line

_TOP = re.compile(r"<top\b[^>]*>", re.IGNORECASE)
_NUMBER = re.compile(r"<num\b[^>]*>\s*(?:Number\s*:)?\s*([^\s<]+)", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^>]*>\s*(?:Topic\s*:)?([^<]*)", re.IGNORECASE)

_OPEN = re.compile(rb"\s*<DOC(\s[^>]*)?>", re.IGNORECASE)
_CLOSE = b"</DOC>"
_AFTER_CLOSE = re.compile(rb"(?<=</DOC>)", re.IGNORECASE)
_ID = re.compile(r"<DOCNO>\s*(.*?)\s*</DOCNO>", re.IGNORECASE | re.DOTALL)
_TEXT = re.compile(r"<TEXT\b[^>]*>(.*?)(?:</TEXT>|$)", re.IGNORECASE | re.DOTALL)
_HEAD = re.compile(r"<(TITLE|HEADLINE|HEAD|HL|TI)\b[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z!?][^<>]*>")


def read_topics(path: Path) -> Iterator[tuple[str, str]]:
    """Stream (number, title) of a file of topics: `<top>` elements, or id and text a line.

    Raises:
        ClozeError: a topic has no number or title, or a line no tab; file and line are named.
    """
    if b"<top" not in _beginning(path).lower():
        yield from read_queries(str(path), suffix=".tsv")
        return
    content = "".join(line for _, line in text_lines(path))
    begins = [match.start() for match in _TOP.finditer(content)]
    for begin, end in zip(begins, [*begins[1:], len(content)], strict=True):
        number = _NUMBER.search(content, begin, end)
        title = _TITLE.search(content, begin, end)
        if number is None or title is None or not title[1].strip():
            where = f"{path}:{content.count(chr(10), 0, begin) + 1}"
            missing = "<num>" if number is None else "<title>"
            raise ClozeError(f"{where}: the topic has no {missing}, or an empty one; add it")
        yield number[1], " ".join(html.unescape(title[1]).split())


def holds_documents(path: Path) -> bool:
    """Tell whether a file, or the first file of a folder, begins with a `<DOC>`."""
    first = next(document_files(path), None)
    return first is not None and _OPEN.match(_beginning(first)) is not None


def document_files(path: Path) -> Iterator[Path]:
    """Yield the file, or those below the folder in order of their paths, hidden ones left out."""
    if path.is_file():
        yield path
        return
    for file in walk(str(path), keep=_visible, enter=_visible):
        yield Path(file.path)


class SgmlDocuments:
    """Stream the `<DOC>` elements of files, plain or `.gz`, holding one in memory at a time.

    The id is `<DOCNO>`, the title the first of `<TITLE>`, `<HEADLINE>`, `<HEAD>`, `<HL>`, `<TI>`,
    the text all `<TEXT>`, or where there is none everything else; tags are taken out. Bytes that
    are not UTF-8 make a document Latin-1. Raises ClozeError for a document without a DOCNO, with
    no end, or longer than 64 MiB; file and line are named.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        """Find the sizes of the files; they are read in the order given."""
        self._files = files
        self._total = sum(file.stat().st_size for file in files)
        self._done = 0
        self._source: Source | None = None

    def position(self) -> float | None:
        """Return the share of the files' bytes that has been read; None for no bytes at all."""
        consumed = self._source.consumed() if self._source else 0
        return min((self._done + consumed) / self._total, 1.0) if self._total else None

    def __iter__(self) -> Iterator[Document]:
        """Stream the documents from the first file on."""
        self._done = 0
        for file in self._files:
            with Source(str(file), relative=file.name, limit=_LIMIT) as source:
                self._source = source
                for line, content in _elements(source):
                    yield _document(f"{file}:{line}", content)
                self._source = None
            self._done += os.path.getsize(file)


def _elements(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield the line that each `<DOC>` begins on, and its content; what lies between is ignored."""
    parts: list[bytes] = []
    begin = size = 0
    for piece in _pieces(source):
        if not begin and _OPEN.match(piece):
            begin, size = source.line, 0
        if not begin:
            continue
        size += len(piece)
        if size > _LIMIT:
            raise ClozeError(f"{source.name}:{begin}: a document of more than 64 MiB; split it")
        parts.append(piece)
        if piece[-len(_CLOSE) :].upper() == _CLOSE:
            yield begin, b"".join(parts)
            parts, begin = [], 0
    if begin:
        raise ClozeError(f"{source.name}:{begin}: the document has no </DOC>; get the file again")


def _pieces(source: Source) -> Iterator[bytes]:
    """Yield the lines, cut after each `</DOC>`."""
    try:
        for line in source.lines():
            if line is None:
                raise ClozeError(f"{source.name}:{source.line}: more than 64 MiB; split the line")
            yield from _AFTER_CLOSE.split(line)
    except (OSError, EOFError, zlib.error) as error:
        raise ClozeError(f"{source.name}: can't be read ({error}); get the file again") from None


def _document(where: str, content: bytes) -> Document:
    text = _decode(content)
    number = _ID.search(text)
    if number is None or not number[1]:
        raise ClozeError(f"{where}: the document has no <DOCNO>; add one")
    head = _HEAD.search(text)
    bodies = _TEXT.findall(text)
    rest = text.replace(number[0], " ").replace(head[0] if head else "", " ")
    return Document(
        id=number[1],
        title=_plain(head[2]) if head else "",
        text="\n".join(map(_plain, bodies)) if bodies else _plain(rest),
    )


def _decode(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _plain(text: str) -> str:
    lines = html.unescape(_TAG.sub(" ", text)).splitlines()
    return "\n".join(filter(None, (" ".join(line.split()) for line in lines)))


def _beginning(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            return file.read(_SNIFFED)
    except (OSError, EOFError, zlib.error):
        return b""  # whoever reads the whole file says what is wrong with it


def _visible(name: str) -> bool:
    return not name.startswith(".")
