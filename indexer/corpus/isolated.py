"""Readers of Parquet, HTML and PDF, whose libraries run in a process of their own."""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

from indexer.corpus.delimited import check_columns
from indexer.corpus.entries import Row
from indexer.corpus.fields import BadRecord, Fields, Record, pick, too_long
from indexer.corpus.isolation import Worker, shared_worker
from indexer.corpus.lines import Source
from indexer.errors import ClozeError

_PACKAGES = {".parquet": "pyarrow", ".html": "selectolax", ".htm": "selectolax", ".pdf": "pypdf"}


def check_readable(path: str, suffix: str) -> None:
    """Raise ClozeError if a file needs a package that is not installed."""
    package = _PACKAGES.get(suffix)
    if package is not None and importlib.util.find_spec(package) is None:
        raise ClozeError(
            f'{path}: to read {suffix} needs {package}; run: pip install "cloze-search[readers]"'
        )


def read_parquet(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield one row for each row of the table; `Source.where` then names rows, not lines."""
    source.counts_rows = True
    if source.path.lower().endswith(".gz"):
        yield 1, BadRecord("a Parquet file inside gzip", "unpack it")
        return
    worker = Worker()
    row = total = 0
    try:
        for answer in worker.ask("parquet", limit=source.limit, path=source.path):
            if "columns" in answer:
                total = answer["rows"]
                check_columns(source.name, "schema", answer["columns"], fields)
                continue
            row = answer["row"]
            source.line = row
            # Rows stand for bytes: those that have been read are only known in the other process.
            source.pass_over(row / max(total, 1))
            yield row, _record(answer, fields)
    except BadRecord as bad:
        yield row + 1, bad
    finally:
        worker.stop()


def read_html(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield the whole page as one document, its id the path below the folder."""
    yield 1, _document("html", source)


def read_pdf(source: Source, fields: Fields) -> Iterator[Row]:
    """Yield the whole file as one document, its id the path below the folder."""
    yield 1, _document("pdf", source)


def _document(format: str, source: Source) -> Record | BadRecord:
    data = source.whole(mark=True)
    if data is None:
        return too_long(source.limit)
    try:
        [answer] = shared_worker().ask(format, limit=source.limit, data=data)
    except BadRecord as bad:
        return bad
    if "problem" in answer:
        return BadRecord(answer["problem"], answer["remedy"])
    return Record(id=source.relative, **answer["values"])


def _record(answer: Mapping[str, Any], fields: Fields) -> Record | BadRecord:
    if "problem" in answer:
        return BadRecord(answer["problem"], answer["remedy"])
    try:
        return pick(answer["values"], fields)
    except BadRecord as bad:
        return bad
