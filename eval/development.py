"""Question and passage pairs turned into a retrieval collection, for choosing defaults on."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import ClozeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How much of the pairs to keep: at most so many documents and queries."""

    documents: int
    queries: int


def build_collection(pairs: Path, folder: Path, sample: Sample) -> dict[str, int]:
    """Write a BEIR folder from JSON lines with `query`, `positive` and perhaps `title`.

    Equal passages are one document and equal questions one query; which of them are kept is
    decided by the hash of their text alone, so every run and machine gets the same collection.

    Returns:
        The counts of documents, queries and judgements.

    Raises:
        ClozeError: a line is not such a pair; file and line are named.
    """
    documents: dict[str, str] = {}
    judged: dict[str, set[str]] = {}
    for pair in _read(pairs):
        document = _key(pair["positive"])
        documents[document] = json.dumps(
            {"_id": document, "title": pair.get("title") or "", "text": pair["positive"]},
            ensure_ascii=False,
        )
        judged.setdefault(pair["query"], set()).add(document)
    kept = set(sorted(documents)[: sample.documents])
    answered = {query: found & kept for query, found in judged.items() if found & kept}
    queries = sorted(answered, key=_key)[: sample.queries]
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _write(folder / "corpus.jsonl", (documents[document] for document in sorted(kept)))
    _write(folder / "queries.jsonl", (json.dumps({"_id": _key(q), "text": q}) for q in queries))
    rows = [f"{_key(query)}\t{found}\t1" for query in queries for found in sorted(answered[query])]
    _write(folder / "qrels" / "dev.tsv", ["query-id\tcorpus-id\tscore", *rows])
    return {"documents": len(kept), "queries": len(queries), "judgements": len(rows)}


def _read(pairs: Path) -> Iterator[dict[str, Any]]:
    opener = gzip.open if pairs.suffix == ".gz" else open
    with opener(pairs, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                pair = json.loads(line)
                complete = isinstance(pair["query"], str) and isinstance(pair["positive"], str)
            except (ValueError, KeyError, TypeError):
                complete = False
            if not complete:
                raise ClozeError(f"{pairs}:{number}: not a pair; it needs query and positive")
            yield pair


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write(path: Path, lines: "Iterator[str] | list[str]") -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
