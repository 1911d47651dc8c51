"""Compaction: what is derived made anew from the store, and dead rows removed."""

import sqlite3
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.errors import ClozeError
from indexer.lock import writer_lock
from indexer.manifest import Manifest, check_unchanged, write_manifest
from indexer.migration import fill_sketches
from indexer.progress import Progress, Step

if TYPE_CHECKING:
    from indexer.index import Index


def compact(index: "Index", faiss: str | None, recall: float | None, progress: Progress) -> None:
    """Make an index what a fresh build of the live documents would be.

    `faiss` and `recall` are the kind and recall of the vectors' index from now on, None as before.
    Postings and vectors are built from one state of the store while others may write; the writer's
    lock is held to bring them up to date and to put them in place.

    Raises:
        ClozeError: FAISS knows no such kind, or the recall is no share.
    """
    documents = index.lexical.count
    manifest = _wished(index, check_unchanged(index.folder, index.manifest), faiss, recall)
    if not index.store.sketched:
        fill_sketches(index.store)
    with ExitStack() as building:
        progress(Step(phase="lexical", documents=0))
        postings = building.enter_context(
            index.lexical.rebuilt(
                index.store, lambda done: progress(Step(phase="lexical", documents=done))
            )
        )
        vectors = None
        if index.manifest.encoder is not None:
            progress(Step(phase="dense", documents=0))
            from indexer.construction import Wish

            index.dense.wish = Wish(faiss=manifest.faiss, recall=manifest.recall)
            vectors = building.enter_context(
                index.dense.rebuilt(
                    index.store, lambda rows: progress(Step(phase="dense", documents=rows))
                )
            )
        stood = index.dense.covered if vectors else index.store.sequence
        building.enter_context(writer_lock(index.folder))
        found = check_unchanged(index.folder, index.manifest)
        postings.publish(index.store)
        if vectors:
            vectors()
        if faiss is not None or recall is not None:
            new = replace(found, faiss=manifest.faiss, recall=manifest.recall)
            write_manifest(index.folder, new)
        index.refresh()
        progress(Step(phase="seal", documents=documents))
        # Last, so that a crash before leaves the dead to be counted and the work to be redone; and
        # only what was dead when the vectors were built, whose file has to hear of the rest.
        index.store.purge(stood)
        index.refresh()
    # It rewrites the whole database, and is only for space.
    with suppress(sqlite3.OperationalError):
        index.store.shrink()


def _wished(
    index: "Index", manifest: Manifest, faiss: str | None, recall: float | None
) -> Manifest:
    """Return the manifest with the kind and recall that are asked for."""
    if faiss is None and recall is None:
        return manifest
    if manifest.encoder is None:
        raise ClozeError(f"{index.folder} has no vectors; leave --faiss and --recall out")
    from indexer.construction import check_wish

    check_wish(faiss, recall, manifest.encoder.dimension)
    return replace(
        manifest,
        faiss=manifest.faiss if faiss is None else (None if faiss == "auto" else faiss),
        recall=manifest.recall if recall is None else recall,
    )
