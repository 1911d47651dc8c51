"""The vectors of an index, opened and brought to its commit."""

import contextlib
from typing import TYPE_CHECKING, Any

from indexer import vector_file
from indexer.construction import Told, Wish
from indexer.dense import Dense
from indexer.errors import ClozeError, DamagedIndexError
from indexer.lock import WAIT_SECONDS, writer_lock
from indexer.manifest import check_unchanged
from indexer.questions import questions

if TYPE_CHECKING:
    from indexer.opened import OpenedIndex


def open_vectors(index: "OpenedIndex") -> Dense:
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
        index.device,
    )
    index.notices += dense.damage
    dense.catch_up(index.store, index.sequence)
    if dense.damage and index.sequence == index.store.sequence:
        if dense.exact:
            with contextlib.suppress(ClozeError, OSError, RuntimeError):
                save_vectors(index, dense, wait=0)
        else:
            index.notices.append(
                f"the vectors are scanned whole until they have a file again; run: cloze compact "
                f"{index.folder}"
            )
    return dense


def save_vectors(
    index: "OpenedIndex",
    dense: Dense,
    *,
    told: Told = lambda rows: None,
    wait: float = WAIT_SECONDS,
) -> None:
    """Write the file of vectors, and put it in place under the writer's lock.

    Raises:
        ClozeError: another process holds the lock, or has put other data in place.
    """
    with dense.saved(told) as publish, writer_lock(index.folder, wait=wait):
        check_unchanged(index.folder, index.manifest)
        # Else another process has compacted meanwhile, and its file is the one to keep.
        if index.store.purged <= dense.covered:
            publish()


def vectors_report(index: "OpenedIndex") -> dict[str, Any] | None:
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
