"""MS MARCO's triples: query, positive, negative; without header, without quoting."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from indexer.corpus.fields import BadRecord
from indexer.corpus.lines import Source
from indexer.errors import ClozeError
from training.pairs.fields import read_row
from training.pairs.file_rows import Format, opened, text_of
from training.pairs.row import Placed, Row

_NAMES = ("query", "positive", "negative")
_ID = re.compile(r"[0-9]{1,18}")


def is_ids(cells: list[str]) -> bool:
    """Tell whether a line's three cells are ids and not texts."""
    return len(cells) == len(_NAMES) and all(_ID.fullmatch(cell.strip()) for cell in cells)


def read_triples(source: Source, ignored: Counter[str]) -> Iterator[Placed]:
    """Yield a row for each line of three texts with tabs between."""
    for line, cells in _lines(source):
        yield line, cells if isinstance(cells, BadRecord) else _row(cells)


def id_triples(path: Path, split: str) -> Format:
    """Return what reads triples of ids, with the texts from the two files beside them.

    These are `collection.tsv` and `queries.SPLIT.tsv`, else `queries.tsv`, each perhaps `.gz`, of
    id, tab and text; only texts that are asked for are held.

    Raises:
        ClozeError: there is no such file.
    """
    names = ((f"queries.{split}.tsv", "queries.tsv"), ("collection.tsv",))
    queries, passages = (_beside(path, each) for each in names)
    return partial(_read_ids, queries=queries, passages=passages)


def _beside(path: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        for found in (path.with_name(name), path.with_name(f"{name}.gz")):
            if found.is_file():
                return found
    raise ClozeError(
        f"{path} holds triples of ids, and there is no {' or '.join(names)} beside it; put the "
        "texts there, as id, tab and text"
    )


def _read_ids(
    source: Source, ignored: Counter[str], *, queries: Path, passages: Path
) -> Iterator[Placed]:
    asked: set[int] = set()
    wanted: set[int] = set()
    with opened(source.path) as first:
        for _, cells in _lines(first):
            if not isinstance(cells, BadRecord) and is_ids(cells):
                asked.add(int(cells[0]))
                wanted.update(map(int, cells[1:]))
    found = _texts(passages, wanted)
    texts = (_texts(queries, asked), found, found)
    for line, cells in _lines(source):
        try:
            if isinstance(cells, BadRecord):
                raise cells
            yield line, _row(_looked_up(cells, texts, (queries, passages, passages)))
        except BadRecord as bad:
            yield line, bad


def _looked_up(
    cells: list[str], texts: tuple[dict[int, str], ...], files: tuple[Path, ...]
) -> list[str]:
    if not is_ids(cells):
        raise BadRecord("not three ids, as in the first line", "write ids with tabs between")
    for cell, known, file in zip(cells, texts, files, strict=True):
        if int(cell) not in known:
            raise BadRecord(f"{file} has no id {cell.strip()}", "get both files again")
    return [known[int(cell)] for cell, known in zip(cells, texts, strict=True)]


def _texts(path: Path, wanted: set[int]) -> dict[int, str]:
    """Return the texts of some ids.

    Raises:
        ClozeError: a line is no id and text, or not UTF-8; file and line are named.
    """
    found: dict[int, str] = {}
    with opened(str(path)) as source:
        for line in source.lines():
            key, tab, text = (line or b"").partition(b"\t")
            if not tab or not _ID.fullmatch(key.strip().decode("latin-1")):
                where = source.where(source.line)
                raise ClozeError(f"{where}: not an id, a tab and a text; get the file again")
            if int(key) in wanted:
                found[int(key)] = _decoded(text, source)
    return found


def _decoded(text: bytes, source: Source) -> str:
    try:
        return text_of(text)
    except BadRecord as bad:
        raise ClozeError(f"{source.where(source.line)}: {bad.problem}; {bad.remedy}") from None


def _lines(source: Source) -> Iterator[tuple[int, list[str] | BadRecord]]:
    for line in source.lines():
        if line is not None and line.isspace():
            continue
        try:
            cells = text_of(line).rstrip("\r\n").split("\t")
            if len(cells) != len(_NAMES):
                problem = f"{len(cells)} columns where a triple has 3: query, positive, negative"
                raise BadRecord(problem, "put tabs between them and nowhere else")
            yield source.line, cells
        except BadRecord as bad:
            yield source.line, bad


def _row(cells: list[str]) -> Row | BadRecord:
    try:
        return read_row(dict(zip(_NAMES, cells, strict=True)))
    except BadRecord as bad:
        return bad
