"""The process that reads what others' libraries parse: bounded in memory, and free to crash.

A request is a line of JSON, followed by the bytes of a document where it announces some. An answer
is lines of JSON: {"ready": true} once the library is loaded, {"row": N, ...} with "values" or with
"problem" and "remedy", at the end {"end": true}. The process ends with its standard input.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from indexer.corpus.fields import BadRecord

Answer = dict[str, Any]
Reader = Callable[[bytes], Iterator[Answer]]


def main() -> None:
    """Answer requests until there are none."""
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        _limit(request["memory"])
        read = _reader(request)
        _say({"ready": True})
        sys.stdout.buffer.flush()
        data = sys.stdin.buffer.read(request["bytes"])
        for answer in _answers(read, data):
            _say(answer)
        _say({"end": True})
        # Not after each answer, of which a table has one for every row.
        sys.stdout.buffer.flush()


def _limit(memory: int) -> None:
    """Bound the memory of this process in bytes, lower where the system's own bound is."""
    # Data, unlike address space, leaves out what libraries reserve and never touch.
    for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
        _, highest = resource.getrlimit(kind)
        is_bound = highest != resource.RLIM_INFINITY
        resource.setrlimit(kind, (min(memory, highest) if is_bound else memory, highest))


def _say(answer: Answer) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")


def _answers(read: Reader, data: bytes) -> Iterator[Answer]:
    row = 1
    try:
        for answer in read(data):
            row = answer.get("row", row) + 1
            yield answer
    except BadRecord as bad:
        yield {"row": row, "problem": bad.problem, "remedy": bad.remedy}


def _reader(request: Mapping[str, Any]) -> Reader:
    """Load what reads a format: its library, which only those who read such files have."""
    limit = request["limit"]
    if request["format"] == "parquet":
        from indexer.corpus.parquet import read_rows

        return lambda _: read_rows(request["path"], limit)
    if request["format"] == "html":
        from indexer.corpus.webpage import read_page

        return lambda data: _whole(read_page(data))
    from indexer.corpus.pdf import read_pages

    return lambda data: _whole(read_pages(data, limit))


def _whole(values: Mapping[str, Any]) -> Iterator[Answer]:
    yield {"row": 1, "values": values}


if __name__ == "__main__":
    main()
