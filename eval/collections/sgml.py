"""TREC's SGML and XML: topics and documents, with tags closed or not."""

import gzip
import html
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

from indexer.corpus.entries import walk
from indexer.corpus.lines import Source
from indexer.documents import Document
from indexer.errors import ClozeError
from search.files import text_lines
from search.queries import read_queries

_SNIFFED = 1 << 16  # bytes in which the first tag must come
_SNIFFED_FILES = 100  # files of a folder that are looked at for documents
_LIMIT = 64 * 2**20  # bytes of one document, and of one line

_TOPICS = re.compile(rb"<top(?:ic)?[\s>]", re.IGNORECASE)
_TOP = re.compile(r"<top(?:ic)?(?:\s[^<>]*)?>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"<topic\s[^>]*?\bnumber\s*=\s*[\"']\s*([^\"'\s>]+)", re.IGNORECASE)
_NUMBER = re.compile(r"<num(?:ber)?\b[^>]*>\s*(?:Number\s*:)?+\s*([^\s<]+)", re.IGNORECASE)
# Up to the next tag: a "<" that begins none is the text's own.
_TO_TAG = r"(.*?)(?=</?[a-z][^<>]*>|\Z)"
_TITLE = re.compile(rf"<title\b[^>]*>\s*(?:Topic\s*:)?+{_TO_TAG}", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(rf"<query\b[^>]*>{_TO_TAG}", re.IGNORECASE | re.DOTALL)

_OPEN = re.compile(rb"\s*<DOC(?:\s[^>]*)?>", re.IGNORECASE)
_BEGINS = re.compile(rb"^(?:\xef\xbb\xbf)?[ \t]*<DOC(?:\s[^>]*)?>", re.IGNORECASE | re.MULTILINE)
_CLOSE = b"</DOC>"
# Elsewhere than where a line begins, a <DOC> without a number is one that a text speaks of.
_CUTS = re.compile(rb"(?<=</DOC>)|(?=<DOC(?:\s[^<>]*)?>\s*<DOCNO>)", re.IGNORECASE)
_ID = re.compile(r"<DOCNO>\s*(.*?)\s*</DOCNO>", re.IGNORECASE | re.DOTALL)
_TEXT = re.compile(r"<TEXT\b[^>]*>(.*?)(?:</TEXT>|$)", re.IGNORECASE | re.DOTALL)
_HEAD = re.compile(r"<(TITLE|HEADLINE|HEAD|HL|TI)\b[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z!?][^<>]*>")


def read_topics(path: Path) -> Iterator[tuple[str, str]]:
    """Stream (number, text) of a file of topics: `<top>`, XML's `<topic>`, or id and text a line.

    The number is `<num>` or the attribute `number`, the text `<title>`, or without one `<query>`.

    Raises:
        ClozeError: a topic has no number or text, or that of one before, or a line has no tab; file
            and line are named.
    """
    if not _TOPICS.search(_beginning(path)):
        for query, text in read_queries(str(path), suffix=".tsv"):
            yield query.strip(), text
        return
    content = "".join(line for _, line in text_lines(path))
    begins = [match.start() for match in _TOP.finditer(content)]
    lines: dict[str, int] = {}
    for begin, end in pairwise([*begins, len(content)]):
        line = content.count("\n", 0, begin) + 1
        number, text = _topic(content[begin:end], f"{path}:{line}")
        if number in lines:
            raise ClozeError(
                f"{path}:{line}: the topic {number!r} comes twice, first in line {lines[number]}; "
                "keep one of the two"
            )
        lines[number] = line
        yield number, text


def _topic(content: str, where: str) -> tuple[str, str]:
    number = _ATTRIBUTE.match(content) or _NUMBER.search(content)
    text = _TITLE.search(content) or _QUERY.search(content)
    if number is None:
        raise ClozeError(f"{where}: the topic has no <num>, or an empty one; add it")
    if text is None or not text[1].strip():
        raise ClozeError(f"{where}: the topic has no <title> or <query>, or an empty one; add it")
    return number[1], " ".join(_unescape(text[1]).split())


def holds_documents(path: Path) -> bool:
    """Tell whether a line of a file, or of one of a folder's first 100, begins with a `<DOC>`."""
    files = islice(document_files(path), _SNIFFED_FILES)
    return any(_BEGINS.search(_beginning(file)) for file in files)


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
        opens = _OPEN.match(piece) is not None
        closes = piece[-len(_CLOSE) :].upper() == _CLOSE
        _check_pair(source, begin, opens=opens, closes=closes)
        if opens:
            begin, size = source.line, 0
        if not begin:
            continue
        size += len(piece)
        if size > _LIMIT:
            raise ClozeError(f"{source.name}:{begin}: a document of more than 64 MiB; split it")
        parts.append(piece)
        if closes:
            yield begin, b"".join(parts)
            parts, begin = [], 0
    if begin:
        raise ClozeError(f"{source.name}:{begin}: the document has no </DOC>; get the file again")


def _check_pair(source: Source, begin: int, *, opens: bool, closes: bool) -> None:
    """Check that a document ends before the next one begins, and begins before it ends."""
    if opens and begin:
        raise ClozeError(
            f"{source.name}:{begin}: the document has no </DOC> before the <DOC> in line "
            f"{source.line}; add it"
        )
    if closes and not (opens or begin):
        raise ClozeError(f"{source.name}:{source.line}: a </DOC> without its <DOC>; add it")


def _pieces(source: Source) -> Iterator[bytes]:
    """Yield the lines, cut before each `<DOC>` and after each `</DOC>`."""
    try:
        for line in source.lines():
            if line is None:
                raise ClozeError(f"{source.name}:{source.line}: more than 64 MiB; split the line")
            # Looking for the letters is ten times as fast as for the cuts.
            yield from _CUTS.split(line) if b"doc" in line.lower() else (line,)
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
    lines = _unescape(_TAG.sub(" ", text)).splitlines()
    return "\n".join(filter(None, (" ".join(line.split()) for line in lines)))


def _unescape(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a character's number of thousands of digits
        return text


def _beginning(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            return file.read(_SNIFFED)
    except (OSError, EOFError, zlib.error):
        return b""  # whoever reads the whole file says what is wrong with it


def _visible(name: str) -> bool:
    return not name.startswith(".")
