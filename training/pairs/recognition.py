"""Which format an input has: by its suffix or folder, and by the first line of its content."""

import difflib
import gzip
import json
import zlib
from pathlib import Path

from eval.collections.beir import is_beir
from indexer.corpus.fields import BadRecord, quoted
from indexer.corpus.formats import suffix_of
from indexer.corpus.lines import printable, unreadable
from indexer.errors import ClozeError
from training.pairs.beir import BeirRows
from training.pairs.fields import KNOWN
from training.pairs.file_rows import FileRows, damaged, opened, text_of
from training.pairs.json_lines import read_json_lines
from training.pairs.row import Rows
from training.pairs.squad import read_squad
from training.pairs.tab_separated import read_tsv
from training.pairs.triples import id_triples, is_ids, read_triples

ACCEPTED = (
    "give JSON lines (.jsonl) or TSV (.tsv with a header) with query and positive, positives or "
    "passage and label; MS MARCO triples (.tsv: query, positive, negative); SQuAD-like .json; each "
    "also .gz; or a BEIR folder"
)
_JSON_LINES = (".jsonl", ".ndjson", ".json-lines")
_SUFFIXES = (*_JSON_LINES, ".json", ".tsv")
_TRIPLE = 3
_ALIKE = 0.8


def recognise(name: str, split: str) -> Rows:
    """Return the rows of an input; of a BEIR folder and of triples of ids those of a split.

    Raises:
        ClozeError: it isn't there, can't be read, is empty, or fits no format that is known; what
            was found and what would do are named.
    """
    path = Path(name)
    if path.is_dir():
        if is_beir(path):
            return BeirRows(name, split)
        problem = "a folder without queries.jsonl and qrels/SPLIT.tsv, so not BEIR's"
        raise ClozeError(f"{printable(name)} is {problem}; {ACCEPTED}")
    if not path.exists():
        raise ClozeError(f"{printable(name)}: no such file or folder; check the path")
    suffix = suffix_of(name)
    if suffix not in _SUFFIXES:
        raise ClozeError(f"{printable(name)} ends in {suffix or 'no suffix'!r}; {ACCEPTED}")
    first = _first_line(name)
    if suffix == ".tsv":
        return _tab_separated(path, first, split)
    if not first.startswith("{"):
        raise ClozeError(f"{printable(name)} begins with {quoted(first)}, no object; {ACCEPTED}")
    if suffix == ".json" and not _is_row(first):
        return FileRows(name, "SQuAD-like JSON", read_squad)
    return FileRows(name, "JSON lines", read_json_lines)


def _first_line(name: str) -> str:
    """Return a file's first line that isn't blank, without the space around it but for tabs."""
    shown = printable(name)
    try:
        with opened(name) as source:
            line = next((each for each in source.lines() if each is None or each.strip()), b"")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(shown, error) from None
    except OSError as error:
        raise unreadable(name, error) from None
    try:
        text = text_of(line)
        if "\0" in text:
            raise BadRecord("a NUL byte in the first line, so this is no text", "name another")
    except BadRecord as bad:
        raise ClozeError(f"{shown}: {bad.problem}; {bad.remedy}: {ACCEPTED}") from None
    if not text:
        raise ClozeError(f"{shown} is empty; leave it out, or {ACCEPTED}")
    return text.strip(" \r\n")


def _is_row(first: str) -> bool:
    """Tell whether a line is one object of its own, and not the beginning of SQuAD's."""
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "data" not in value


def _tab_separated(path: Path, first: str, split: str) -> FileRows:
    cells = first.split("\t")
    if _names_fields(cells):
        return FileRows(str(path), "TSV", read_tsv)
    if len(cells) != _TRIPLE:
        raise ClozeError(
            f"{printable(str(path))} begins with {len(cells)} columns ({quoted(first)}), which are "
            f"neither a header with query nor a triple; {ACCEPTED}"
        )
    if is_ids(cells):
        return FileRows(str(path), "MS MARCO triples of ids", id_triples(path, split))
    if all(len(cell.split()) == 1 for cell in cells):
        raise ClozeError(
            f"{printable(str(path))} begins with {', '.join(map(quoted, cells))}, which look like "
            f"a header of unknown names; {ACCEPTED}"
        )
    return FileRows(str(path), "MS MARCO triples", read_triples)


def _names_fields(cells: list[str]) -> bool:
    """Tell whether a line is a header: a cell is a known name, or all but one."""
    names = (cell.strip().strip('"').lower() for cell in cells)
    return any(difflib.get_close_matches(name, KNOWN, 1, _ALIKE) for name in names if name)
