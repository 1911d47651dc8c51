"""The vectors of the store: read in blocks, and held against what was written of them before."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.errors import DamagedIndexError
from indexer.records import PASSAGE_BITS
from indexer.rows import Rows
from indexer.store import Store
from indexer.vector_file import row_sums

_READ_ROWS = 20_000


def check_stored(
    store: Store,
    parts: Sequence[Rows],
    numbers: NDArray[np.int64],
    sums: NDArray[np.uint64],
) -> None:
    """Check rows that were read from the store against the checksums that a file has of them.

    Raises:
        DamagedIndexError: one is another; the store has no checksums of its own vectors.
    """
    for part in parts:
        for start in range(0, part.size, _READ_ROWS):
            rows = np.arange(start, min(start + _READ_ROWS, part.size))
            places = np.searchsorted(numbers, part.ids[rows])
            there = np.flatnonzero(places < len(numbers))
            there = there[numbers[places[there]] == part.ids[rows[there]]]
            now = row_sums(part.stored(rows[there]))
            wrong = rows[there[now != sums[places[there]]]]
            if len(wrong):
                raise _damage(store, int(part.ids[wrong[0]]))


def _damage(store: Store, passage: int) -> DamagedIndexError:
    """Return the error that a stored vector is not the one that was written."""
    document = store.ids([passage >> PASSAGE_BITS]).get(passage >> PASSAGE_BITS)
    return DamagedIndexError(
        f"{store.path}: a vector of document {document!r} is not the one that was written; delete "
        "the document and index it again, or restore a backup"
    )


def read_rows(
    store: Store, after: int, visible: NDArray[np.int64], dimension: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
    """Stream the vectors of visible documents above a number, in blocks."""
    ids: list[int] = []
    blobs: list[bytes] = []

    def block() -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        numbers = np.array(ids, dtype=np.int64)
        vectors = np.frombuffer(b"".join(blobs), dtype=np.float16).reshape(-1, dimension)
        kept = np.isin(numbers >> PASSAGE_BITS, visible)
        return numbers[kept], vectors[kept]

    for passage, blob in store.vectors(after):
        ids.append(passage)
        blobs.append(blob)
        if len(ids) == _READ_ROWS:
            yield block()
            ids.clear()
            blobs.clear()
    if ids:
        yield block()
