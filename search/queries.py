"""Query files: JSON lines, id and text with a tab between, or a question a line."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from indexer.errors import ClozeError
from search.files import is_utf8, text_lines

# A line without its line end and where it stands, to (id, text).
_Parse: TypeAlias = Callable[[str, str], tuple[str, str]]


def read_queries(path: str, *, suffix: str | None = None) -> Iterator[tuple[str, str]]:
    """Stream (id, text) of a queries file, plain or `.gz`; blank lines are passed over.

    `.tsv` has an id, a tab and the text a line. `.txt` has a question a line; its id is the first
    16 hexadecimal digits of the SHA-256 of its text, so that other lines don't change it. Every
    other file has a JSON object a line, with `_id` or `id`, and `text`.

    Raises:
        ClozeError: the file can't be read, a line is no query, or an id comes twice; file and line
            are named.
    """
    own = Path(path.lower().removesuffix(".gz")).suffix
    kind = suffix or own
    parse = _PARSERS.get(kind, _from_json)
    seen: dict[str, int] = {}
    for number, line in text_lines(Path(path)):
        if line.strip():
            query, text = parse(line.rstrip("\r\n"), f"{path}:{number}")
            if query in seen:
                raise ClozeError(f"{path}:{number}: {_repeated(kind, query, seen[query])}")
            seen[query] = number
            yield query, text


def _repeated(kind: str, query: str, first: int) -> str:
    if kind == ".txt":
        return f"the question is that of line {first}; keep one of the two"
    return f"the query id {query!r} comes twice, first in line {first}; keep one of the two"


def _from_json(line: str, where: str) -> tuple[str, str]:
    try:
        record = json.loads(line)
        query = record.get("_id", record.get("id"))
        text = record["text"]
    except (ValueError, KeyError, AttributeError, RecursionError):
        raise ClozeError(f'{where}: not a query; write {{"_id": "1", "text": "…"}}') from None
    if isinstance(query, int) and not isinstance(query, bool):
        query = str(query)
    if not isinstance(query, str) or not query or not isinstance(text, str):
        raise ClozeError(f"{where}: a query needs an id and a text, both strings")
    if not is_utf8(query) or not is_utf8(text):
        raise ClozeError(f"{where}: half of an escaped character (\\ud800 to \\udfff); mend it")
    return query, text


def _from_tsv(line: str, where: str) -> tuple[str, str]:
    query, tab, text = line.partition("\t")
    if not tab or not query.strip():
        raise ClozeError(f"{where}: not a query; write an id, a tab and the text")
    return query, text.strip()


def _from_text(line: str, where: str) -> tuple[str, str]:
    text = line.strip()
    return hashlib.sha256(text.encode()).hexdigest()[:16], text


_PARSERS: Mapping[str, _Parse] = {".tsv": _from_tsv, ".txt": _from_text}
