"""Pairs read: files and folders in, examples, their hash and a report out."""

import difflib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from indexer.corpus.fields import BadRecord, quoted
from indexer.errors import ClozeError
from training.pairs.example import Example
from training.pairs.learnable import check_learnable
from training.pairs.merging import UNKNOWN_QUERY, Merging
from training.pairs.recognition import recognise
from training.pairs.report import FileCounts, PairReport, measure
from training.pairs.row import LeftOut, Placed, Row, Rows
from training.text import Advance

DEFAULT_SPLIT = "train"
_OF_SPLIT = "of the split "
_BAD = "bad"
_SHOWN = 3
_TOLD_EVERY = 512

# Takes a row and where it stands; returns why it was left out, "" where it was not.
_Take: TypeAlias = Callable[[Row, str, int | str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What there is to learn from: examples in the order in which their queries first came.

    One query is one example. `content_hash` is the SHA-256 of all examples, in hexadecimal.
    """

    examples: tuple[Example, ...]
    content_hash: str
    report: PairReport


def read_pairs(
    paths: Sequence[str],
    *,
    negatives: str | None = None,
    split: str | None = None,
    skip_bad: bool = False,
    progress: Advance = lambda done, share: None,
) -> Pairs:
    """Read pairs from files and folders whose formats are recognised.

    `negatives` names one more, of which the negatives and the scores of known queries are taken.
    Rows of a split other than `split` ("train" unless given) are left out; those without a split
    are not. `progress` hears of the rows read and the share of the inputs.

    Raises:
        ClozeError: an input isn't there or has no known format, a place is bad (unless
            `skip_bad`), queries have no positive (likewise), or there is nothing to learn.
    """
    if not paths:
        raise ClozeError("no pairs are named; name files or BEIR folders")
    wanted = split or DEFAULT_SPLIT
    reader = _Reader(split=wanted, skip_bad=skip_bad, progress=progress)
    inputs = [recognise(path, wanted) for path in paths]
    extra = None if negatives is None else recognise(negatives, wanted)
    reader.inputs = len(inputs) + (extra is not None)
    merging = Merging()

    def add(row: Row, name: str, place: int | str) -> str:
        merging.add(row, name, place)
        return ""

    counts = [reader.read(each, add) for each in inputs]
    if extra is not None:
        counts.append(_read_negatives(reader, extra, merging))
    if not skip_bad:
        _check_positives(merging)
    merged: Counter[str] = Counter()
    examples = tuple(merging.examples(merged))
    if not examples:
        raise _nothing_left(counts, wanted)
    check_learnable(examples)
    report = measure(
        examples, counts, merged=merged, left_out=merging.left_out(len(examples)),
        partly_scored=merging.partly_scored(),
    )  # fmt: skip
    return Pairs(examples=examples, content_hash=_hash(examples), report=report)


class _Reader:
    """Reads inputs one after another, by one rule for splits and bad places."""

    def __init__(self, *, split: str, skip_bad: bool, progress: Advance) -> None:
        self.inputs = 1
        self._split = split
        self._skip_bad = skip_bad
        self._progress = progress
        self._rows = 0
        self._read = 0

    def read(self, rows: Rows, take: _Take) -> FileCounts:
        """Give an input's rows to `take`, and count them.

        Raises:
            ClozeError: a place is bad, or there is no row at all.
        """
        left_out: Counter[str] = Counter()
        bad: list[str] = []
        taken = 0
        for place, found in self._watched(rows):
            reason = self._refused(rows.name, place, found, bad)
            if isinstance(found, Row) and not reason:
                reason = take(found, rows.name, place)
            if reason:
                left_out[reason] += 1
            else:
                taken += 1
        self._read += 1
        self._progress(self._rows, self._read / self.inputs)
        if not taken and not left_out:
            raise ClozeError(f"{rows.name} ({rows.kind}) holds no pair; leave it out or fill it")
        return FileCounts(
            name=rows.name, kind=rows.kind, rows=taken, left_out=dict(left_out),
            unread=dict(rows.unread), bad=tuple(bad),
        )  # fmt: skip

    def _watched(self, rows: Rows) -> Iterator[Placed]:
        for each in rows:
            self._rows += 1
            if self._rows % _TOLD_EVERY == 0:
                self._progress(self._rows, (self._read + rows.position()) / self.inputs)
            yield each

    def _refused(
        self, name: str, place: int | str, found: Row | LeftOut | BadRecord, bad: list[str]
    ) -> str:
        """Return why what is at a place is left out, "" where it is not."""
        if isinstance(found, LeftOut):
            return found.reason
        if isinstance(found, Row):
            other = found.split is not None and found.split != self._split
            return f"{_OF_SPLIT}{found.split}" if other else ""
        problem = f"{where(name, place)}: {found.problem}"
        if not self._skip_bad:
            raise ClozeError(f"{problem}; {found.remedy}, or pass --skip-bad")
        if len(bad) < _SHOWN:
            bad.append(problem)
        return _BAD


def where(name: str, place: int | str) -> str:
    """Return how messages name a place of an input."""
    return f"{name}:{place}" if isinstance(place, int) else f"{name}: {place}"


def _read_negatives(reader: _Reader, rows: Rows, merging: Merging) -> FileCounts:
    counts = reader.read(
        rows, lambda row, name, place: "" if merging.add_negatives(row) else UNKNOWN_QUERY
    )
    if not counts.rows:
        raise ClozeError(
            f"{rows.name} has negatives of no query that the pairs have; mine them for these pairs"
        )
    return counts


def _check_positives(merging: Merging) -> None:
    if not merging.without:
        return
    count, place = len(merging.without), where(*next(iter(merging.without.values())))
    more = f", and {count - 1:,} more queries have none" if count > 1 else ""
    raise ClozeError(
        f"{place}: the query has no positive{more}; name it positive, positives, or passage with "
        "label, or pass --skip-bad"
    )


def _nothing_left(counts: Sequence[FileCounts], split: str) -> ClozeError:
    reasons = Counter[str]()
    for file in counts:
        reasons.update(file.left_out)
    if not reasons:
        return ClozeError(f"{counts[0].name}: no query has a positive; give each one")
    others = [why.removeprefix(_OF_SPLIT) for why in reasons if why.startswith(_OF_SPLIT)]
    if others:
        near = difflib.get_close_matches(split, others, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; choose one with --split"
        return ClozeError(
            f"{counts[0].name}: no pair is of the split {quoted(split)}, but of "
            f"{', '.join(sorted(others))}{hint}"
        )
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return ClozeError(f"{counts[0].name}: no pair is left ({why}); correct them or add others")


def _hash(examples: Sequence[Example]) -> str:
    found = hashlib.sha256()
    for each in examples:
        content = each.query, each.positives, each.negatives, each.scores
        found.update(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE))
    return found.hexdigest()
