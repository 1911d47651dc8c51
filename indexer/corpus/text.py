"""Text files: one document a file, its id the path below the folder that the user named."""

import re
from collections.abc import Iterator

from indexer.corpus.entries import Row
from indexer.corpus.fields import BadRecord, Fields, Record, decode, too_long
from indexer.corpus.lines import Source

_HEADING = re.compile(r"#[ \t]+([^\r\n]*)(?:\r?\n|$)")


def read_text(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield the whole file as one document without a title."""
    try:
        yield 1, Record(id=source.relative, text=_content(source))
    except BadRecord as bad:
        yield 1, bad


def read_markdown(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield the whole file as one document; a heading "# ..." on the first line is its title."""
    try:
        text = _content(source)
    except BadRecord as bad:
        yield 1, bad
        return
    heading = _HEADING.match(text)
    title = _title(heading.group(1)) if heading else ""
    body = text[heading.end() :].lstrip("\r\n") if heading else text
    yield 1, Record(id=source.relative, title=title, text=body)


def _content(source: Source) -> str:
    data = source.whole()
    if data is None:
        raise too_long(source.limit)
    return decode(data)


def _title(line: str) -> str:
    """Strip a heading's line of white space and of closing number signs."""
    line = line.rstrip(" \t")
    bare = line.rstrip("#")
    return bare.rstrip(" \t") if not bare or bare[-1] in " \t" else line
