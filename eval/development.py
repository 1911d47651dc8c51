"""Question and passage pairs turned into a retrieval collection, for choosing defaults on."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from eval.folders import replace_folder
from indexer.errors import ClozeError
from search.files import is_utf8, text_lines

_FILES = {"corpus.jsonl", "queries.jsonl", "qrels"}
_SPLITS = {"dev.tsv", "train.tsv"}


_JUDGEMENT = re.compile("[0-9a-f]{16}\t[0-9a-f]{16}\t1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How much of the pairs to keep: at most so many documents, and queries for the split dev."""

    documents: int
    queries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A question, a passage that answers it, and the passage's title, perhaps empty."""

    query: str
    positive: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """All pairs: the documents as JSON by key, and the keys of every question's answers."""

    documents: Mapping[str, str]
    answers: Mapping[str, Set[str]]


def build_collection(pairs: Path, folder: Path, sample: Sample) -> dict[str, int]:
    """Write a BEIR folder from JSON lines with `query`, `positive` and perhaps `title`.

    Equal passages are one document and equal questions one query; which of them are kept is
    decided by the hash of their text alone, so every run and machine gets the same collection.
    The split dev has the first questions by hash; train has all others that share no answer with
    those of dev. The folder appears whole, and takes the place of an older one.

    Returns:
        The counts of documents, and of queries and judgements of dev and of train.

    Raises:
        ClozeError: a line is not such a pair (file and line are named), or the folder is there and
            holds something else.
    """
    counts: dict[str, int] = {}
    replace_folder(folder, lambda new: counts.update(_build(pairs, new, sample)), _check)
    return counts


def _build(pairs: Path, folder: Path, sample: Sample) -> dict[str, int]:
    read = _collect(pairs)
    if not read.answers:
        raise ClozeError(f"{pairs} holds no pair; give lines with query and positive")
    kept = set(sorted(read.documents)[: sample.documents])
    answered = {query: found & kept for query, found in read.answers.items() if found & kept}
    ordered = sorted(answered, key=_key)
    dev, others = ordered[: sample.queries], ordered[sample.queries :]
    # Of dev all answers count, those that were not kept too.
    closed = {document for query in dev for document in read.answers[query]}
    train = [query for query in others if closed.isdisjoint(read.answers[query])]
    rows = {
        split: [f"{_key(query)}\t{found}\t1" for query in part for found in sorted(answered[query])]
        for split, part in (("dev", dev), ("train", train))
    }
    (folder / "qrels").mkdir()
    _write(folder / "corpus.jsonl", (read.documents[each] for each in sorted(kept)))
    queries = (json.dumps({"_id": _key(query), "text": query}) for query in (*dev, *train))
    _write(folder / "queries.jsonl", queries)
    for split, lines in rows.items():
        _write(folder / "qrels" / f"{split}.tsv", ["query-id\tcorpus-id\tscore", *lines])
    return {
        "documents": len(kept),
        "queries": len(dev),
        "judgements": len(rows["dev"]),
        "train_queries": len(train),
        "train_judgements": len(rows["train"]),
    }


def _collect(pairs: Path) -> _Pairs:
    documents: dict[str, str] = {}
    answers: dict[str, set[str]] = {}
    for pair in _read(pairs):
        document = _key(pair.positive)
        documents[document] = json.dumps(
            {"_id": document, "title": pair.title, "text": pair.positive}, ensure_ascii=False
        )
        answers.setdefault(pair.query, set()).add(document)
    return _Pairs(documents=documents, answers=answers)


def _read(pairs: Path) -> Iterator[_Pair]:
    for number, line in text_lines(pairs):
        where = f"{pairs}:{number}"
        try:
            pair = json.loads(line)
            title = pair.get("title")
            texts = pair["query"], pair["positive"], "" if title is None else title
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ClozeError(f"{where}: not a pair; it needs query and positive") from None
        if not all(isinstance(text, str) for text in texts):
            raise ClozeError(f"{where}: query, positive and title of a pair must be strings")
        if not (texts[0].strip() and texts[1].strip()):
            raise ClozeError(f"{where}: query and positive of a pair must not be empty; fill them")
        if not all(map(is_utf8, texts)):
            raise ClozeError(f"{where}: half of an escaped character (\\ud800 to \\udfff); mend it")
        yield _Pair(query=texts[0], positive=texts[1], title=texts[2])


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def _check(folder: Path) -> None:
    """Check that nothing is there but an empty folder, or what an earlier call wrote."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ClozeError(f"{folder} is a file; name a folder that is not there yet")
    names = set(os.listdir(folder))
    ours = names == _FILES and (folder / "qrels").is_dir()
    if names and not (ours and set(os.listdir(folder / "qrels")) <= _SPLITS and _ours(folder)):
        other = ", ".join(sorted(names)[:3])
        raise ClozeError(
            f"{folder} holds {other} and was not made from pairs; name a folder that is not there "
            "yet"
        )


def _ours(folder: Path) -> bool:
    """Tell whether the judgements are by our keys, which nobody else gives."""
    try:
        lines = (folder / "qrels" / "dev.tsv").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return all(map(_JUDGEMENT.fullmatch, lines[1:]))
