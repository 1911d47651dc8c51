"""Readers that stream the documents of a corpus: folders, tables, pages, text, docstrings."""

import gzip
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from indexer.corpus.entries import Entry, Reader, Row
from indexer.corpus.fields import DEFAULT_FIELDS, BadRecord, Fields, normalise
from indexer.corpus.inputs import resolve
from indexer.corpus.lines import STDIN, Source, unreadable
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.filters.evaluation import Evaluation
from indexer.filters.tree import Filter

__all__ = ["Corpus", "CorpusCounts", "Fields"]

_EXAMPLES = 5


@dataclass(slots=True, kw_only=True)
class CorpusCounts:
    """Count what a corpus held so far.

    `read` documents were yielded; of those `empty` have no text and `control_characters` had some
    replaced. `skipped` lines were bad; `skipped_examples` says what was wrong with the first five.
    `left_out` documents did not pass the filter; `repeated` files came by an earlier input too.
    """

    read: int = 0
    empty: int = 0
    control_characters: int = 0
    skipped: int = 0
    left_out: int = 0
    repeated: int = 0
    skipped_examples: list[str] = field(default_factory=list)


class Corpus:
    """Stream the documents of some inputs, once, holding one document in memory at a time.

    An input is a folder (BEIR's, or of documents), a file (see `formats.READERS`), a pattern such
    as "data/**/*.jsonl", "-" for JSON lines on standard input, or what `inputs.resolve` knows by a
    scheme. A file that several inputs name is read by the first. Raises ClozeError at once for an
    input that is not there or not known, and while iterating for the first bad line, unless
    `skip_bad`.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        fields: Fields = DEFAULT_FIELDS,
        skip_bad: bool = False,
        max_document_mib: float = 64,
        where: Filter | None = None,
        readers: Mapping[Reader, Reader] | None = None,
    ) -> None:
        """Find the inputs; `max_document_mib` bounds the bytes of one line, row or file.

        Documents that the filter `where` does not pass are left out; a field of it that no document
        had is a FilterError at the end. `readers` maps readers of `formats.READERS` to those that
        are used instead.
        """
        if not 0 < max_document_mib < math.inf:
            raise ClozeError(
                f"the limit on a document is {max_document_mib} MiB; give a number above 0"
            )
        self.counts = CorpusCounts()
        self._evaluation = None if where is None else Evaluation(where)
        self._inputs = [resolve(name) for name in inputs]
        self._read_by: dict[tuple[int, int], int] = {}
        sizes = [each.size for each in self._inputs]
        self._total = sum(size or 0 for size in sizes) if None not in sizes else 0
        self._done = 0
        self._fields = fields
        self._skip_bad = skip_bad
        self._readers = readers or {}
        self._limit = int(max_document_mib * 2**20)
        self._source: Source | None = None
        self._where = ""
        self._documents = self._read()

    def __iter__(self) -> Iterator[Document]:
        """Return the one stream of documents; a second loop goes on where the first one ended."""
        return self._documents

    def where(self) -> str:
        """Return "FILE:LINE" of the document yielded last, or "" before the first."""
        return self._where

    def position(self) -> float | None:
        """Return the share of the input's bytes consumed, from 0 to 1; None if it is unknown."""
        if not self._total:
            return None
        consumed = self._source.consumed() if self._source else 0
        return min((self._done + consumed) / self._total, 1.0)

    def _read(self) -> Iterator[Document]:
        for entry in self._entries():
            with Source(entry.path, relative=entry.relative, limit=self._limit) as source:
                self._source = source
                try:
                    yield from self._read_file(entry, source)
                finally:
                    self._source = None
            self._done += entry.size or 0
        if self._evaluation is not None:
            self._evaluation.check_fields()

    def _entries(self) -> Iterator[Entry]:
        """Yield the files of all inputs, but those that an earlier one named."""
        for number, each in enumerate(self._inputs):
            for entry in each.entries():
                if self._first_reader(entry.path, number) == number:
                    yield entry
                else:
                    self._done += entry.size or 0
                    self.counts.repeated += 1

    def _first_reader(self, path: str, number: int) -> int:
        if len(self._inputs) == 1 or path == STDIN:
            return number
        try:
            found = os.stat(path)
        except OSError:
            return number  # opening it says why
        return self._read_by.setdefault((found.st_dev, found.st_ino), number)

    def _read_file(self, entry: Entry, source: Source) -> Iterator[Document]:
        for line, record in self._rows(entry, source):
            where = source.where(line)
            try:
                if isinstance(record, BadRecord):
                    raise record
                document, replaced = normalise(record)
            except BadRecord as bad:
                self._skip(where, bad)
                continue
            if self._evaluation is not None and not self._evaluation.passes(document.metadata):
                self.counts.left_out += 1
                continue
            self.counts.read += 1
            self.counts.empty += not document.text.strip()
            self.counts.control_characters += replaced
            self._where = where
            yield document

    def _rows(self, entry: Entry, source: Source) -> Iterator[Row]:
        try:
            yield from self._readers.get(entry.read, entry.read)(source, self._fields)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            problem = f"the gzip data is damaged or ends early ({error})"
            yield source.line, BadRecord(problem, "get the file again")
        except OSError as error:
            raise unreadable(entry.path, error) from None

    def _skip(self, where: str, bad: BadRecord) -> None:
        if not self._skip_bad:
            message = f"{where}: {bad.problem}; {bad.remedy}, or pass --skip-bad"
            raise ClozeError(message) from None
        self.counts.skipped += 1
        if len(self.counts.skipped_examples) < _EXAMPLES:
            self.counts.skipped_examples.append(f"{where}: {bad.problem}")
