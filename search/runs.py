"""TREC run files: six columns, ranks from 1, scores strictly decreasing."""

import re
from collections.abc import Iterable
from typing import TextIO
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from indexer.errors import ClozeError

_SPACE = re.compile(r"\s")


def column(value: str) -> str:
    """Return an id as a run file has it, with white space percent-encoded: it would end the column.

    Evaluation knows every id of a query or document in this form.
    """
    return _SPACE.sub(lambda match: quote(match[0]), value)


class UniqueColumns:
    """Turns ids of one kind into columns, and refuses two that would be one there."""

    def __init__(self) -> None:
        """Know no ids yet."""
        self._spelled: dict[str, str] = {}

    def column(self, value: str, where: str) -> str:
        """Return an id as `column` does; `where` begins the error.

        Raises:
            ClozeError: another id comes to the same, such as `a b` and `a%20b`.
        """
        encoded = column(value)
        if "%" in encoded:  # no other can be that of two
            first = self._spelled.setdefault(encoded, value)
            if first != value:
                raise ClozeError(
                    f"{where}: the ids {first!r} and {value!r} are one where white space is "
                    "encoded, as run files have it; rename one of the two"
                )
        return encoded


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
        pairs = list(ranked)
        strict = _strict(np.array([score for _, score in pairs], dtype=np.float64)).tolist()
        start, end = f"{self._column(query)} Q0 ", f" {self._tag}\n"
        self._file.writelines(
            f"{start}{self._column(document)} {rank} {score!r}{end}"
            for rank, ((document, _), score) in enumerate(zip(pairs, strict, strict=True), 1)
        )

    def _column(self, value: str) -> str:
        encoded = column(value)
        if encoded != value:
            self._encoded.add(value)
        return encoded


def _strict(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores strictly decreasing as float32, each as it was where it could stay."""
    rounded = scores.astype(np.float32)
    if np.all(rounded[1:] < rounded[:-1]):
        return scores
    strict = scores.copy()
    least = np.float32(-np.inf)
    for row in range(1, len(scores)):
        if not rounded[row] < rounded[row - 1]:
            rounded[row] = np.nextafter(rounded[row - 1], least)
            strict[row] = rounded[row]
    return strict
