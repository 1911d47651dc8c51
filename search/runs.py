"""TREC run files: six columns, ranks from 1, scores strictly decreasing."""

import re
from collections.abc import Iterable
from typing import TextIO
from urllib.parse import quote

import numpy as np

_SPACE = re.compile(r"\s")


class RunWriter:
    """Writes answers as `query Q0 document rank score tag`, and counts the ids it had to encode.

    trec_eval compares scores as float32, so each is strictly below the one before it even there:
    a tie is lowered by one unit in the last place, which keeps our order in every tool.
    """

    def __init__(self, file: TextIO, tag: str) -> None:
        """Write to an open text file; `tag` names the run in its last column."""
        self._file = file
        self._tag = tag
        self._encoded: set[str] = set()

    @property
    def encoded_ids(self) -> int:
        """How many ids were percent-encoded."""
        return len(self._encoded)

    def write(self, query: str, ranked: Iterable[tuple[str, float]]) -> None:
        """Write the (id, score) pairs of one query, best first."""
        last = np.float32(np.inf)
        for rank, (document, score) in enumerate(ranked, 1):
            if not np.float32(score) < last:
                score = float(np.nextafter(last, np.float32(-np.inf)))
            last = np.float32(score)
            columns = (self._column(query), "Q0", self._column(document), str(rank), repr(score))
            self._file.write(" ".join((*columns, self._tag)) + "\n")

    def _column(self, value: str) -> str:
        """Percent-encode white space, which would end the column."""
        if not _SPACE.search(value):
            return value
        self._encoded.add(value)
        return _SPACE.sub(lambda match: quote(match[0]), value)
