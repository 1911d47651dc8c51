"""TREC's topics: SGML with tags closed or not, XML, or an id and a text a line."""

import gzip
import re
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from indexer.corpus.sgml import unescape
from indexer.errors import ClozeError
from search.files import text_lines
from search.queries import read_queries

_SNIFFED = 1 << 16  # bytes in which the first tag must come

_TOPICS = re.compile(rb"<top(?:ic)?[\s>]", re.IGNORECASE)
_TOP = re.compile(r"<top(?:ic)?(?:\s[^<>]*)?>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"<topic\s[^>]*?\bnumber\s*=\s*[\"']\s*([^\"'\s>]+)", re.IGNORECASE)
_NUMBER = re.compile(r"<num(?:ber)?\b[^>]*>\s*(?:Number\s*:)?+\s*([^\s<]+)", re.IGNORECASE)
# Up to the next tag: a "<" that begins none is the text's own.
_TO_TAG = r"(.*?)(?=</?[a-z][^<>]*>|\Z)"
_TITLE = re.compile(rf"<title\b[^>]*>\s*(?:Topic\s*:)?+{_TO_TAG}", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(rf"<query\b[^>]*>{_TO_TAG}", re.IGNORECASE | re.DOTALL)


def read_questions(path: Path) -> Iterator[tuple[str, str]]:
    """Stream (id, text) of a queries file of any kind: TREC's topics, JSON lines, `.tsv`, `.txt`.

    Raises:
        ClozeError: as `read_topics` and `read_queries`.
    """
    if _TOPICS.search(_beginning(path)):
        return read_topics(path)
    return read_queries(str(path))


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
    return number[1], " ".join(unescape(text[1]).split())


def _beginning(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            return file.read(_SNIFFED)
    except (OSError, EOFError, zlib.error):
        return b""  # whoever reads the whole file says what is wrong with it
