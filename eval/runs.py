"""A system's answers to all queries of a collection, and the TREC run files that hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np

from indexer.errors import ClozeError
from search.files import text_lines, whole_file
from search.runs import RunWriter, column

# (document id, score), best first.
Ranked: TypeAlias = Sequence[tuple[str, float]]

_COLUMNS = 6
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Ranked documents by query; equal scores stand in the order that counts.

    Ids are as a run file has them: white space is percent-encoded. A query without results may be
    absent. `tag` is what a file of it has in its last column; "" is the name.
    """

    name: str
    ranked: Mapping[str, Ranked]
    tag: str = ""


def read_run(path: Path, name: str | None = None) -> Run:
    """Read a TREC run as trec_eval does: `query Q0 document rank score tag` a line, plain or `.gz`.

    Scores are rounded to float32, in which trec_eval compares them; documents stand by score
    descending, equal ones by id descending, and the file's ranks and order don't count. The name
    is the one given, else the tag in the file's first line, else (no lines) the file's stem.

    Raises:
        ClozeError: the file can't be read, or a line has other than 6 columns, a score that is no
            finite number, or a document that the query already has; file and line are named.
    """
    by_query: dict[str, dict[str, float]] = {}
    last: str | None = None
    found: dict[str, float] = {}
    tag = ""
    for number, line in text_lines(path):
        try:
            query, _, document, _, text, tag_here = line.split()
            score = float(text)
        except ValueError:
            if line.strip():
                raise _malformed(f"{path}:{number}", line.split()) from None
            continue
        # Written so that NaN fails too; Python alone takes 1_0 and the digits of other scripts.
        if not -_LARGEST <= score <= _LARGEST or "_" in text or not text.isascii():
            raise _malformed(f"{path}:{number}", line.split())
        if query != last:
            last = query
            found = by_query.setdefault(query, {})
        if document in found:
            raise ClozeError(
                f"{path}:{number}: the document {document!r} comes twice for the query {query!r}; "
                "keep one of the two"
            )
        found[document] = score
        tag = tag or tag_here
    ranked = {query: _in_order(scores) for query, scores in by_query.items()}
    return Run(name=name or tag or Path(path.name.removesuffix(".gz")).stem, ranked=ranked)


def write_run(path: Path, run: Run) -> None:
    """Write a run for trec_eval; the file appears whole, with the run's tag.

    Scores are made strictly decreasing, so that every tool reads the order of `run`.

    Raises:
        ClozeError: the file can't be written.
    """
    with whole_file(path) as file:
        writer = RunWriter(file, column(run.tag or run.name))
        for query, ranked in run.ranked.items():
            writer.write(query, ranked)


def _in_order(scores: Mapping[str, float]) -> Ranked:
    rounded: list[float] = np.fromiter(scores.values(), np.float32, len(scores)).tolist()
    pairs = list(zip(scores, rounded, strict=True))
    # Most files are written in this order already, which is cheaper to see than to make.
    if not all(first[1] > second[1] for first, second in pairwise(pairs)):
        pairs.sort(reverse=True)  # ids descending first: the next sort keeps them for equal scores
        pairs.sort(key=lambda pair: pair[1], reverse=True)
    return pairs


def _malformed(where: str, fields: Sequence[str]) -> ClozeError:
    if len(fields) != _COLUMNS:
        return ClozeError(
            f"{where}: {len(fields)} columns where a run has {_COLUMNS}: query, Q0, document, "
            "rank, score, tag"
        )
    return ClozeError(
        f"{where}: the score {fields[4]!r} of the document {fields[2]!r} is not a finite number "
        "that fits 32 bits; trec_eval can't compare it"
    )
