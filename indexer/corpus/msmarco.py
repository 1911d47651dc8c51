"""MS MARCO's TSVs: no header, no quoting, a document a line."""

from collections.abc import Iterator

from indexer.corpus.entries import Row
from indexer.corpus.fields import BadRecord, Fields, Record, decode, too_long
from indexer.corpus.lines import Source


def read_msmarco(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield one row for each line: `pid, passage`, or `docid, url, title, body`.

    The url is metadata. A quote is a character like any other.
    """
    for line in source.lines():
        if line is None:
            yield source.line, too_long(source.limit)
        elif not line.isspace():
            yield source.line, _record(line)


def _record(line: bytes) -> Record | BadRecord:
    try:
        match decode(line.rstrip(b"\r\n")).split("\t"):
            case [pid, passage]:
                return Record(id=pid, text=passage)
            case [docid, url, title, body]:
                return Record(id=docid, title=title, text=body, metadata={"url": url})
            case cells:
                problem = f"{len(cells)} fields where MS MARCO's files have 2 or 4"
                return BadRecord(problem, "separate them by tabs")
    except BadRecord as bad:
        return bad
