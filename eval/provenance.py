"""Where figures come from: data, index, settings, machine, versions, time."""

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from eval.bench.figures import processor
from eval.finished import code_digest, versions
from indexer.index import Index


def provenance(index: Index | None, **facts: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """Return what is needed to make the figures again, and what they may depend on."""
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        **facts,
        "index": _index(index),
        "processor": processor(),
        "python": sys.version.split()[0],
        "versions": versions(),
        "code": code_digest(("indexer", "search", "eval")),
    }


def hashes(paths: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files, in hexadecimal, by their paths; "" of a pipe, which is gone."""
    found = dict.fromkeys(paths, "")
    for path in filter(os.path.isfile, found):
        with open(path, "rb") as file:
            found[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _index(index: Index | None) -> dict[str, Any] | None:
    if index is None:
        return None
    return {
        "folder": str(index.folder),
        "documents": index.lexical.count,
        "digest": index.store.digest(),
        "device": index.device,
        "threads": index.threads,
        "manifest": asdict(index.manifest),
    }
