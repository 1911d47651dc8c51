"""What pairs hold: how much of what, how long, what was merged, what was left out, and why."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.pairs.example import Example

_SHOWN = 60
_PERCENTILES = (50, 95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where the values of a set of counts lie; all 0 for none."""

    mean: float
    p50: int
    p95: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCounts:
    """What one input gave: its rows, what was left out by reason, fields that are not read.

    `bad` says what was wrong with the first bad places; there are some only where they are skipped.
    """

    name: str
    kind: str
    rows: int
    left_out: Mapping[str, int]
    unread: Mapping[str, int]
    bad: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReport:
    """What pairs hold; `words` are of each query, and of each passage in each place it has.

    `left_out` counts queries by reason after rows were merged. `own_positive` are queries that are
    equal to a positive of theirs; `shared` are passages that are a positive of several queries, of
    at most `most_shared`, and `shared_text` is that passage. `scored` have a score of each passage,
    `partly_scored` of some, which are not used.
    """

    files: tuple[FileCounts, ...]
    examples: int
    positives: Spread
    negatives: Spread
    words: Mapping[str, Spread]
    merged: Mapping[str, int]
    left_out: Mapping[str, int]
    own_positive: int
    shared: int
    most_shared: int
    shared_text: str
    scored: int
    partly_scored: int

    def as_json(self) -> dict[str, Any]:
        """Return the same as JSON has it."""
        return asdict(self)

    def as_lines(self) -> Iterator[str]:
        """Write it for a person: inputs, a table of figures, what is odd."""
        for file in self.files:
            yield f"{file.name}: {file.kind}, {file.rows:,} rows"
            yield from (f"  {count:>9,} left out: {why}" for why, count in file.left_out.items())
            if file.unread:
                yield f"  fields that are not read: {', '.join(file.unread)}"
            yield from (f"  {line}" for line in file.bad)
        yield f"{self.examples:,} examples, {self.scored:,} with a teacher's scores"
        yield f"  {'':<22}{'mean':>9}{'p50':>8}{'p95':>8}{'max':>8}"
        spreads = {"positives of a query": self.positives, "negatives of a query": self.negatives}
        spreads |= {f"words of a {name}": each for name, each in self.words.items()}
        for name, each in spreads.items():
            yield f"  {name:<22}{each.mean:>9,.1f}{each.p50:>8,}{each.p95:>8,}{each.max:>8,}"
        yield from self._oddities()

    def _oddities(self) -> Iterator[str]:
        counts = {
            **{f"merged: {what}": count for what, count in self.merged.items()},
            **{f"left out: queries {why}": count for why, count in self.left_out.items()},
            "queries equal to a positive of theirs": self.own_positive,
            "examples with scores of some passages only, which are not used": self.partly_scored,
        }
        yield from (f"  {count:>9,} {what}" for what, count in counts.items() if count)
        if self.shared:
            yield (
                f"  {self.shared:>9,} passages are a positive of several queries, one of "
                f"{self.most_shared:,}: {shortened(self.shared_text, _SHOWN)}"
            )


def shortened(text: str, width: int) -> str:
    """Return a text on one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def measure(
    examples: Sequence[Example],
    files: Sequence[FileCounts],
    *,
    merged: Mapping[str, int],
    left_out: Mapping[str, int],
    partly_scored: int,
) -> PairReport:
    """Count what examples hold, beside what reading them has counted.

    Texts that are one by `identity` are spelled alike, as `merging` leaves them.
    """
    places = Counter(text for example in examples for text in example.positives)
    most = max(places, key=places.__getitem__, default="")
    words = {
        "query": Counter(len(example.query.split()) for example in examples),
        "positive": _words(places),
        "negative": _words(Counter(text for each in examples for text in each.negatives)),
    }
    return PairReport(
        files=tuple(files),
        examples=len(examples),
        positives=spread(Counter(len(example.positives) for example in examples)),
        negatives=spread(Counter(len(example.negatives) for example in examples)),
        words={name: spread(counts) for name, counts in words.items()},
        merged={what: count for what, count in merged.items() if count},
        left_out={why: count for why, count in left_out.items() if count},
        own_positive=sum(example.query in example.positives for example in examples),
        shared=sum(count > 1 for count in places.values()),
        most_shared=places[most],
        shared_text=most if places[most] > 1 else "",
        scored=sum(example.scores is not None for example in examples),
        partly_scored=partly_scored,
    )


def spread(counts: Counter[int]) -> Spread:
    """Return where the values lie of which `counts` has how often each comes.

    A percentile is the least value that so many percent of all do not exceed.
    """
    total = counts.total()
    if not total:
        return Spread(mean=0.0, p50=0, p95=0, max=0)
    p50, p95 = (_at(counts, -(-percent * total // 100)) for percent in _PERCENTILES)
    mean = sum(value * times for value, times in counts.items()) / total
    return Spread(mean=mean, p50=p50, p95=p95, max=max(counts))


def _at(counts: Counter[int], place: int) -> int:
    """Return the value at a place, from 1, of all values in order."""
    for value in sorted(counts):
        place -= counts[value]
        if place <= 0:
            return value
    raise IndexError(place)


def _words(places: Counter[str]) -> Counter[int]:
    words: Counter[int] = Counter()
    for text, times in places.items():
        words[len(text.split())] += times
    return words
