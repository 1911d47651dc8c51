"""The process that reads what others' libraries parse: bounded in memory, and free to crash.

A request is a line of JSON, followed by the bytes of a document where it announces some. An answer
is lines of JSON: {"row": N, ...} with "values" or with "problem" and "remedy", at the end {"end":
true}. The process ends with its standard input.
"""

import json
import resource
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from indexer.corpus.fields import BadRecord

Answer = dict[str, Any]


def main() -> None:
    """Answer requests until there are none."""
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        # Data, unlike address space, leaves out what libraries reserve and never touch.
        for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
            _, highest = resource.getrlimit(kind)
            resource.setrlimit(kind, (request["memory"], highest))
        data = sys.stdin.buffer.read(request["bytes"])
        for answer in _answers(request, data):
            _say(answer)
        _say({"end": True})
        # Not after each answer, of which a table has one for every row.
        sys.stdout.buffer.flush()


def _say(answer: Answer) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")


def _answers(request: Mapping[str, Any], data: bytes) -> Iterator[Answer]:
    row = 1
    try:
        for answer in _read(request, data):
            row = answer.get("row", row) + 1
            yield answer
    except BadRecord as bad:
        yield {"row": row, "problem": bad.problem, "remedy": bad.remedy}


def _read(request: Mapping[str, Any], data: bytes) -> Iterator[Answer]:
    limit = request["limit"]
    # Each brings its library, which only those who read such files have.
    match request["format"]:
        case "parquet":
            from indexer.corpus.parquet import read_rows

            yield from read_rows(request["path"], limit)
        case "html":
            from indexer.corpus.webpage import read_page

            yield {"row": 1, "values": read_page(data)}
        case "pdf":
            from indexer.corpus.pdf import read_pages

            yield {"row": 1, "values": read_pages(data, limit)}


if __name__ == "__main__":
    main()
