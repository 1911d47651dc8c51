"""Relevance judgements: the grade of a document for a query, and the files that hold them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from indexer.errors import ClozeError
from search.files import text_lines, whole_file
from search.runs import column

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
            for a query with another grade; file and lines are named.
    """
    qrels: dict[str, dict[str, int]] = {}
    lines: dict[tuple[str, str], int] = {}
    columns: _Columns | None = None
    for number, line in text_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if columns is None:
            fields = [field.strip() for field in line.split("\t")]
            columns = _beir_columns if len(fields) == len(_BEIR_HEADER) else _trec_columns
            if fields == _BEIR_HEADER:
                continue
        query, document, grade = columns(line, where)
        first = lines.setdefault((query, document), number)
        known = qrels.setdefault(query, {}).setdefault(document, _grade(grade, where))
        if known != int(grade):
            raise ClozeError(
                f"{where}: the document {document!r} has grade {int(grade)} for the query "
                f"{query!r}, and {known} in line {first}; keep one of the two"
            )
    return qrels


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


def _beir_columns(line: str, where: str) -> tuple[str, str, str]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) != 3 or not all(fields):
        raise ClozeError(
            f"{where}: {len(list(filter(None, fields)))} columns where a judgement has 3, with "
            "tabs between: query, document, grade"
        )
    return column(fields[0]), column(fields[1]), fields[2]


def _grade(value: str, where: str) -> int:
    if not _GRADE.fullmatch(value):
        raise ClozeError(f"{where}: the grade {value!r} is not an integer; write 0, 1, 2, …")
    return int(value)
