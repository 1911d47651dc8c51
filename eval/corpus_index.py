"""The index that an experiment searches: the one named, or one built in the cache."""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from eval.collections import Collection
from eval.finished import code_digest
from indexer.analysis import Analyzer
from indexer.caches import cache_home
from indexer.creation import DEFAULT_OVERLAP, DEFAULT_TOKENS, Settings
from indexer.errors import ClozeError
from indexer.manifest import FORMAT
from indexer.models import DEFAULT_MODEL, find_model
from indexer.progress import Progress, silent
from indexer.runtime.calibration import CALIBRATION_HASH
from indexer.runtime.precision import is_automatic, resolve
from search.index import Index
from search.runs import UniqueColumns, column

# Our own code that decides what documents and passages come of a corpus.
_SOURCES = ("indexer/corpus", "indexer/passages.py", "indexer/analysis.py")

# Gives a progress bar for a kind of work: what tells its share, and what it counts.
Bars: TypeAlias = Callable[[Callable[[], float | None], str], AbstractContextManager[Progress]]


def no_bars(position: Callable[[], float | None], unit: str) -> AbstractContextManager[Progress]:
    """Show nothing."""
    return nullcontext(silent)


def open_index(
    collection: Collection,
    folder: str | None,
    *,
    model: str | None,
    vectors: bool,
    device: str,
    threads: int | None,
    bars: Bars,
) -> Index:
    """Open an index of a collection's documents; without a folder, build it in the cache.

    The cache's folder is named by the content of corpus and model, so a changed corpus has another
    index; one whose build was interrupted goes on. `vectors` False builds a lexical-only one.

    Raises:
        ClozeError: there are no documents to build it from, or the folder is no index.
    """
    if folder is not None:
        if model is not None:
            raise ClozeError(
                f"--index {folder} and --model {model} exclude each other: an index has the model "
                "that it was built with"
            )
        return Index.open(folder, device=device, threads=threads)
    if collection.corpus is None:
        raise ClozeError(
            f"{collection.name} has queries and judgements but no documents; name an index of them "
            "with --index"
        )
    place = _place(collection, model, vectors, device)
    settings = Settings(model=model if vectors else None, lexical_only=not vectors)
    index = Index.open(place / "index", settings, device=device, threads=threads)
    whole = place / "whole"
    if not whole.exists():
        documents = collection.corpus()
        with bars(documents.position, "documents") as progress:
            index.add(documents, sync=True, progress=progress)
        whole.touch()
    return index


def _place(collection: Collection, model: str | None, vectors: bool, device: str) -> Path:
    """Return the cache's folder for all that decides what an index holds."""
    content = json.dumps([
        collection.corpus_fingerprint,
        _encoding(model, device) if vectors else None,
        [DEFAULT_TOKENS, DEFAULT_OVERLAP, FORMAT],
        Analyzer().describe(),
        code_digest(_SOURCES),
    ])  # fmt: skip
    place = cache_home() / "indexes" / hashlib.sha256(content.encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    return place


def _encoding(model: str | None, device: str) -> list[object]:
    """Return what decides a passage's vector, but for its text."""
    content = find_model(model or DEFAULT_MODEL).content_hash
    precision = resolve(None, device)
    recipe = CALIBRATION_HASH if precision == "int8" else None
    return [content, precision, recipe, is_automatic(None)]


def check_ids(index: Index) -> None:
    """Check that no two documents have one id in a run file, where white space is encoded.

    Raises:
        ClozeError: two have; both are named.
    """
    ids = UniqueColumns()
    for document in index.store.live_ids():
        ids.column(document, str(index.folder))


def searched_otherwise(index: Index) -> tuple[str, ...]:
    """Tell in a line or none of defaults that were stored with the index."""
    stored = {
        name: value for name, value in asdict(index.manifest.defaults).items() if value is not None
    }
    if index.manifest.title_weight != 1:
        stored["title weight"] = index.manifest.title_weight
    if not stored:
        return ()
    told = ", ".join(f"{name} {value}" for name, value in stored.items())
    return (f"{index.folder} is searched by its own defaults: {told}",)


def judged_but_absent(collection: Collection, index: Index) -> tuple[str, ...]:
    """Tell of judged documents that the index does not hold, in a line or none.

    Raises:
        ClozeError: it holds none of the relevant ones.
    """
    relevant = {
        document
        for grades in collection.qrels.values()
        for document, grade in grades.items()
        if grade > 0
    }
    absent = relevant.difference(map(column, index.store.live_ids()))
    if relevant and absent == relevant:
        raise ClozeError(
            f"{index.folder} holds none of the {len(relevant):,} relevant documents of "
            f"{collection.name}, such as {min(relevant)!r}; name an index of this collection"
        )
    if not absent:
        return ()
    return (
        f"{len(absent):,} of {len(relevant):,} relevant documents are not in {index.folder}, such "
        f"as {min(absent)!r}; no system can find them",
    )
