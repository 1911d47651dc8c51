"""Relevance judgements: the grade of a document for a query, and the files that hold them."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from indexer.errors import ClozeError
from search.files import text_lines, whole_file
from search.runs import UniqueColumns, column

# Query id to document id to grade; 0 and less are judged and not relevant.
Qrels: TypeAlias = Mapping[str, Mapping[str, int]]

_BEIR_HEADER = ["query-id", "corpus-id", "score"]
# Up to nine digits: every tool holds these in 32 bits.
_GRADE = re.compile(r"[+-]?[0-9]{1,9}")
_Columns: TypeAlias = Callable[[str, str], tuple[str, str, str]]


def read_qrels(path: Path) -> Qrels:
    """Read judgements, plain or `.gz`; ids are as a run file has them (`search.runs.column`).

    A file whose first line has three columns with tabs between is BEIR's: query, document, grade,
    perhaps under the header `query-id corpus-id score`. Every other is TREC's: query, a column
    that is ignored, document, grade, with white space between.

    Raises:
        ClozeError: the file can't be read, a line is no judgement, or a document is judged twice
            for a query with another grade, or two ids are one once they are encoded; file and
            lines are named.
    """
    qrels: dict[str, dict[str, int]] = {}
    for number, query, document, grade in _judgements(path):
        known = qrels.setdefault(query, {}).setdefault(document, grade)
        if known != grade:
            raise ClozeError(
                f"{path}:{number}: the document {document!r} has grade {grade} for the query "
                f"{query!r}, and {known} {_first(path, query, document)}; keep one of the two"
            )
    return qrels


def _judgements(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Stream the lines of a file: number, query, document, grade."""
    columns: _Columns | None = None
    for number, line in text_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if columns is None:
            fields = [field.strip() for field in line.split("\t")]
            beir = len(fields) == len(_BEIR_HEADER)
            columns = _BeirColumns().read if beir else _trec_columns
            if fields == _BEIR_HEADER:
                continue
        query, document, grade = columns(line, where)
        yield number, query, document, _grade(grade, where)


def _first(path: Path, query: str, document: str) -> str:
    """Say where a judgement came first: a second reading is rare, and a table of lines is large."""
    if not path.is_file():
        return "in a line before"  # a pipe is gone
    found = (number for number, *ids, _ in _judgements(path) if ids == [query, document])
    return f"in line {next(found)}"


def write_qrels(path: Path, qrels: Qrels) -> None:
    """Write judgements for trec_eval, or BEIR's way to a `.tsv`; the file appears whole.

    Raises:
        ClozeError: the file can't be written.
    """
    beir = path.suffix.lower() == ".tsv"
    with whole_file(path) as file:
        if beir:
            file.write("\t".join(_BEIR_HEADER) + "\n")
        for query, judged in qrels.items():
            for document, grade in judged.items():
                ids = column(query), column(document)
                row = (*ids, str(grade)) if beir else (ids[0], "0", ids[1], str(grade))
                file.write(("\t" if beir else " ").join(row) + "\n")


def _trec_columns(line: str, where: str) -> tuple[str, str, str]:
    fields = line.split()
    if len(fields) != 4:
        raise ClozeError(
            f"{where}: {len(fields)} columns where a judgement has 4: query, 0, document, grade "
            "(or 3 with tabs between: query, document, grade)"
        )
    return fields[0], fields[2], fields[3]


class _BeirColumns:
    """The columns of lines with tabs between; ids stand as they are, with their white space."""

    def __init__(self) -> None:
        self._queries = UniqueColumns()
        self._documents = UniqueColumns()

    def read(self, line: str, where: str) -> tuple[str, str, str]:
        fields = line.rstrip("\r\n").split("\t")
        found = sum(1 for field in fields if field.strip())
        if len(fields) != 3 or found != 3:
            raise ClozeError(
                f"{where}: {found} columns where a judgement has 3, with tabs between: query, "
                "document, grade"
            )
        query = self._queries.column(fields[0], where)
        return query, self._documents.column(fields[1], where), fields[2].strip()


def _grade(value: str, where: str) -> int:
    if not _GRADE.fullmatch(value):
        raise ClozeError(f"{where}: the grade {value!r} is not an integer; write 0, 1, 2, …")
    return int(value)
