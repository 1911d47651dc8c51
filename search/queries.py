"""Query files: a JSON object a line, with `_id` or `id`, and `text`."""

import json
from collections.abc import Iterator
from pathlib import Path

from indexer.errors import ClozeError


def read_queries(path: str) -> Iterator[tuple[str, str]]:
    """Stream (id, text) of a queries file.

    Raises:
        ClozeError: the file can't be read, a line is not such an object, or an id comes twice;
            file and line are named.
    """
    seen: set[str] = set()
    try:
        file = Path(path).open("rb")
    except OSError as error:
        raise ClozeError(f"{path}: {error.strerror}; name a file of queries") from None
    with file:
        for number, line in enumerate(file, 1):
            if line.strip():
                query, text = _query(line, f"{path}:{number}")
                if query in seen:
                    raise ClozeError(f"{path}:{number}: the query id {query!r} comes twice")
                seen.add(query)
                yield query, text


def _query(line: bytes, where: str) -> tuple[str, str]:
    try:
        record = json.loads(line)
        query = record.get("_id", record.get("id"))
        text = record["text"]
    except (ValueError, KeyError, AttributeError):
        raise ClozeError(f'{where}: not a query; write {{"_id": "1", "text": "…"}}') from None
    if isinstance(query, int) and not isinstance(query, bool):
        query = str(query)
    if not isinstance(query, str) or not query or not isinstance(text, str):
        raise ClozeError(f"{where}: a query needs an id and a text, both strings")
    return query, text
