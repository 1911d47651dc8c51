"""Finished runs, kept in the cache under a hash of all that they depend on."""

import gzip
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.runs import Run
from eval.systems import System
from indexer.index import Index
from indexer.models import cache_home

# Whose versions may change a ranking.
_PACKAGES = (
    "cloze-search", "faiss-cpu", "faiss-gpu", "numpy", "openvino", "PyStemmer", "rank-bm25",
    "stop-words", "tantivy", "tokenizers", "torch",
)  # fmt: skip


def run_key(system: System, index: Index, queries: Mapping[str, str], top: int) -> str:
    """Hash what a run depends on: queries, documents, settings, the system's own, and versions."""
    sealed = asdict(index.manifest)
    del sealed["data"]
    parts = {
        "system": [system.kind, system.name, sorted(system.options.items())],
        "queries": list(queries.items()),
        "documents": index.store.digest(),
        "index": sealed,
        "device": index.device,
        "top": top,
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that may change a ranking."""
    from importlib.metadata import PackageNotFoundError

    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def load_run(key: str, name: str) -> Run | None:
    """Return a finished run, its scores as they were; None where it is not kept, or not whole."""
    try:
        with gzip.open(_place(key), "rt", encoding="utf-8") as file:
            ranked = {}
            for line in file:
                query, documents, scores = json.loads(line)
                ranked[query] = list(zip(documents, scores, strict=True))
    except (OSError, EOFError, ValueError):
        return None
    return Run(name=name, ranked=ranked)


def keep_run(key: str, run: Run) -> None:
    """Keep a run; it appears whole or not at all."""
    place = _place(key)
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        with gzip.open(scratch, "wt", compresslevel=1, encoding="utf-8") as file:
            for query, ranked in run.ranked.items():
                line: list[Any] = [query, *map(list, zip(*ranked, strict=True))]
                file.write(json.dumps(line if ranked else [query, [], []]) + "\n")
        scratch.replace(place)
    finally:
        scratch.unlink(missing_ok=True)


def _place(key: str) -> Path:
    return cache_home() / "runs" / f"{key}.jsonl.gz"
