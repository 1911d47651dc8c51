"""Finished runs, kept in the cache under a hash of all that they depend on."""

import gzip
import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eval.bench.figures import processor
from eval.runs import Run
from eval.systems import System
from indexer.caches import cache_home
from indexer.models import find_classifier
from search.index import Index
from search.reranking.opening import NONE

# Whose versions may change a ranking or a figure.
_PACKAGES = (
    "cloze-search", "faiss-cpu", "faiss-gpu", "ir-measures", "nncf", "numpy", "openvino",
    "PyStemmer", "pytrec-eval-terrier", "rank-bm25", "scipy", "statsmodels", "stop-words",
    "tantivy", "tokenizers", "torch", "transformers",
)  # fmt: skip
_ROOT = Path(__file__).resolve().parents[1]
# Our own code that may change a ranking.
_SOURCES = ("indexer", "search", "eval/baselines.py", "eval/scoring.py")


def index_state(index: Index) -> dict[str, Any]:
    """Return all of an index that its rankings depend on, as JSON, at its newest commit.

    The documents alone don't tell: BM25's statistics count deleted ones until compaction.
    """
    index.refresh()
    sealed = asdict(index.manifest)
    del sealed["data"]
    return {
        "documents": index.store.digest(),
        "sequence": index.store.sequence,
        "purges": index.store.purges,
        "dead": index.lexical.dead,
        "manifest": sealed,
        "device": index.device,
    }


def reranker_state(system: System, index: Index) -> list[str]:
    """Return what a system's reranker is, by its name and content; nothing where it has none.

    Its depth and weight are among the system's options, else in the index's manifest or our code.

    Raises:
        ClozeError: the reranker can't be had.
    """
    name = system.options.get("rerank") or index.manifest.defaults.rerank or NONE
    if system.kind != "mode" or name == NONE:
        return []
    if "/" in name or Path(name).is_dir():  # its files tell, and it need not be loaded
        return [name, find_classifier(name).content_hash]
    return [name, index.reranker_hash(name)]


def run_key(
    system: System,
    state: Mapping[str, Any],
    queries: Mapping[str, str],
    top: int,
    reranker: Sequence[str] = (),
) -> str:
    """Hash what a run depends on: queries, index, the system's own, machine, code and versions.

    `reranker` is what `reranker_state` tells.
    """
    parts = {
        "system": [system.kind, system.name, sorted(system.options.items())],
        "reranker": list(reranker),
        "precision": os.environ.get("CLOZE_PRECISION", "auto"),
        "queries": list(queries.items()),
        "index": state,
        "top": top,
        "machine": [processor(), platform.python_version()],
        "code": code_digest(_SOURCES),
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@lru_cache
def code_digest(sources: tuple[str, ...]) -> str:
    """Return a sha256 over our own source files: modules, and all that packages hold.

    Texts count too: the scales of int8 come from one.
    """
    whole = hashlib.sha256()
    for source in sources:
        place = _ROOT / source
        inside = (path for path in place.rglob("*") if path.suffix in (".py", ".txt"))
        for path in [place] if place.is_file() else sorted(inside):
            whole.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return whole.hexdigest()


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that may change a ranking or a figure."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def load_run(key: str, name: str, queries: Iterable[str]) -> Run | None:
    """Return a finished run of these queries, its scores as they were; None without a whole one."""
    try:
        with gzip.open(_place(key), "rt", encoding="utf-8") as file:
            ranked = {}
            for line in file:
                query, documents, scores = json.loads(line)
                ranked[query] = list(zip(documents, scores, strict=True))
    except (OSError, EOFError, ValueError):
        return None
    return Run(name=name, ranked=ranked) if list(ranked) == list(queries) else None


def keep_run(key: str, run: Run) -> None:
    """Keep a run; it appears whole or not at all.

    Raises:
        OSError: the cache can't be written.
    """
    place = _place(key)
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        with gzip.open(scratch, "wt", compresslevel=1, encoding="utf-8") as file:
            for query, ranked in run.ranked.items():
                columns = list(map(list, zip(*ranked, strict=True))) or [[], []]
                file.write(json.dumps([query, *columns]) + "\n")
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        scratch.replace(place)
    finally:
        scratch.unlink(missing_ok=True)


def _place(key: str) -> Path:
    return cache_home() / "runs" / f"{key}.jsonl.gz"
