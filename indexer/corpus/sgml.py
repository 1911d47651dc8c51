"""TREC's SGML documents: `<DOC>` elements, many in a file, whatever the files are called."""

import gzip
import html
import os
import re
import zlib
from collections.abc import Iterator
from itertools import islice

from indexer.corpus.entries import Entry, Row, walk
from indexer.corpus.fields import BadRecord, Fields, Record, too_long
from indexer.corpus.lines import Source

_SNIFFED = 1 << 16  # bytes in which the first document must begin
_SNIFFED_FILES = 100  # files of a folder that are looked at for documents

_OPEN = re.compile(rb"\s*<DOC(?:\s[^>]*)?>", re.IGNORECASE)
_BEGINS = re.compile(rb"^(?:\xef\xbb\xbf)?[ \t]*<DOC(?:\s[^>]*)?>", re.IGNORECASE | re.MULTILINE)
_CLOSE = b"</DOC>"
# Elsewhere than where a line begins, a <DOC> without a number is one that a text speaks of.
_CUTS = re.compile(rb"(?<=</DOC>)|(?=<DOC(?:\s[^<>]*)?>\s*<DOCNO>)", re.IGNORECASE)
_ID = re.compile(r"<DOCNO>\s*(.*?)\s*</DOCNO>", re.IGNORECASE | re.DOTALL)
_TEXT = re.compile(r"<TEXT\b[^>]*>(.*?)(?:</TEXT>|$)", re.IGNORECASE | re.DOTALL)
_HEAD = re.compile(r"<(TITLE|HEADLINE|HEAD|HL|TI)\b[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z!?][^<>]*>")


def read_sgml(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield the documents of a file, holding one in memory at a time.

    The id is `<DOCNO>`, the title the first of `<TITLE>`, `<HEADLINE>`, `<HEAD>`, `<HL>`, `<TI>`,
    the text all `<TEXT>`, or where there is none everything else; tags are taken out. Bytes that
    are not UTF-8 make a document Latin-1. What lies between documents is ignored.
    """
    for line, content in _elements(source):
        try:
            if isinstance(content, BadRecord):
                raise content
            yield line, _record(content)
        except BadRecord as bad:
            yield line, bad


def entries(path: str) -> Iterator[Entry]:
    """Yield the file, or all below the folder but hidden ones, to be read by `read_sgml`."""
    if not os.path.isdir(path):
        size = os.path.getsize(path) if os.path.isfile(path) else None
        yield Entry(path=path, relative=os.path.basename(path), size=size, read=read_sgml)
        return
    for file in walk(path, keep=_visible, enter=_visible):
        yield Entry(path=file.path, relative=file.relative, size=file.size, read=read_sgml)


def holds_documents(path: str) -> bool:
    """Tell whether a line of a file, or of one of a folder's first 100, begins with a `<DOC>`."""
    looked_at = islice(entries(path), _SNIFFED_FILES)
    return any(_BEGINS.search(_beginning(entry.path)) for entry in looked_at)


def _elements(source: Source) -> Iterator[tuple[int, bytes | BadRecord]]:
    """Yield the line that each `<DOC>` begins on, and its content or what is wrong with it."""
    parts: list[bytes] = []
    size, begin, passing = 0, 0, False  # the line of the open document; and past one too long
    for piece in _pieces(source):
        opens = piece is not None and _OPEN.match(piece) is not None
        closes = piece is not None and piece[-len(_CLOSE) :].upper() == _CLOSE
        if opens and begin:
            problem = f"the document has no </DOC> before the <DOC> in line {source.line}"
            yield begin, BadRecord(problem, "add it")
        if opens:
            parts, size, begin, passing = [], 0, source.line, False
        if closes and not begin and not passing:
            yield source.line, BadRecord("a </DOC> without its <DOC>", "add it")
        if begin:
            size += source.limit + 1 if piece is None else len(piece)
            parts.append(piece or b"")
        if begin and size > source.limit:
            yield begin, too_long(source.limit)
            parts, begin, passing = [], 0, True
        elif begin and closes:
            yield begin, b"".join(parts)
            parts, begin = [], 0
        passing = passing and not closes
    if begin:
        yield begin, BadRecord("the document has no </DOC>", "get the file again")


def _pieces(source: Source) -> Iterator[bytes | None]:
    """Yield the lines, cut before each `<DOC>` and after each `</DOC>`; None for one too long."""
    for line in source.lines():
        # Looking for the letters is ten times as fast as for the cuts.
        if line is not None and b"doc" in line.lower():
            yield from _CUTS.split(line)
        else:
            yield line


def _record(content: bytes) -> Record:
    text = _decode(content)
    number = _ID.search(text)
    if number is None or not number[1]:
        raise BadRecord("the document has no <DOCNO>", "add one")
    head = _HEAD.search(text)
    bodies = _TEXT.findall(text)
    rest = text.replace(number[0], " ").replace(head[0] if head else "", " ")
    return Record(
        id=number[1],
        title=" ".join(plain(head[2]).split()) if head else "",
        text="\n".join(map(plain, bodies)) if bodies else plain(rest),
    )


def _decode(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def plain(text: str) -> str:
    """Return a text without its tags, character references resolved, a line as it was a line."""
    lines = unescape(_TAG.sub(" ", text)).splitlines()
    return "\n".join(filter(None, (" ".join(line.split()) for line in lines)))


def unescape(text: str) -> str:
    """Resolve character references; a text with one of thousands of digits stays as it is."""
    try:
        return html.unescape(text)
    except ValueError:
        return text


def _beginning(path: str) -> bytes:
    try:
        with gzip.open(path) if path.lower().endswith(".gz") else open(path, "rb") as file:
            return file.read(_SNIFFED)
    except (OSError, EOFError, zlib.error):
        return b""  # whoever reads the whole file says what is wrong with it


def _visible(name: str) -> bool:
    return not name.startswith(".")
