"""The vectors of an index, opened and brought to its commit."""

import contextlib
from typing import TYPE_CHECKING, Any

from indexer import vector_file
from indexer.construction import Wish
from indexer.dense import Dense
from indexer.errors import ClozeError, DamagedIndexError
from indexer.lock import writer_lock
from indexer.questions import questions

if TYPE_CHECKING:
    from indexer.index import Index


def open_vectors(index: "Index") -> Dense:
    """Open the vectors at the commit that an index reads; a damaged file is made anew.

    Raises:
        ClozeError: the index is lexical-only.
    """
    manifest = index.manifest
    if manifest.encoder is None:
        raise ClozeError(f"{index.folder} was built with --lexical-only and has no vectors")
    dense = Dense(
        index.data / "dense",
        manifest.encoder.dimension,
        index.threads,
        Wish(faiss=manifest.faiss, recall=manifest.recall),
        lambda passages: questions(index, passages),
    )
    index.notices += dense.damage
    dense.catch_up(index.store, index.sequence)
    if dense.damage and index.sequence == index.store.sequence:
        with contextlib.suppress(ClozeError, OSError), writer_lock(index.folder, wait=0):
            dense.save()
    return dense


def vectors_report(index: "Index") -> dict[str, Any] | None:
    """Return how the vectors are searched, from the file's header; None where there is no file.

    `kind` is flat, or that of the approximate index with its FAISS factory string, its effort
    (lists probed, efSearch), and the curve of (effort, recall at ten, milliseconds a query) that
    was measured when it was built.
    """
    path = vector_file.newest(index.data / "dense")
    if path is None:
        return None
    with contextlib.suppress(FileNotFoundError, DamagedIndexError):
        return {"kind": "flat"} | dict(vector_file.read_notes(path))
    return None
