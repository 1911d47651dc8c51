"""What is in a collection, and what is missing from it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from eval.collections.collection import Collection, Documents
from search.runs import column


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where the values of a set of counts lie; all 0 for no counts."""

    min: int
    median: float
    mean: float
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentCounts:
    """What reading all documents of a collection found.

    `words` are those of title and text, with white space between. `empty` have neither title nor
    text; `equal` have title and text of one before; `missing` are judged and not there.
    """

    documents: int
    words: Spread
    empty: int
    equal: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is in one split of a collection; `corpus` is None where it has no documents.

    `depth` is the judgements of a query, `relevant` those with a grade above 0. `unjudged` are the
    queries that other splits judge or none, `without_text` and `without_relevant` judged ones.
    """

    name: str
    split: str
    queries: int
    judgements: int
    grades: Mapping[int, int]
    query_words: Spread
    depth: Spread
    relevant: Spread
    unjudged: int
    without_text: int
    without_relevant: int
    corpus: DocumentCounts | None

    def as_json(self) -> dict[str, Any]:
        """Return the same as JSON has it."""
        return asdict(self)


def describe(
    collection: Collection, documents: Documents | None, tell: Callable[[int], None]
) -> Description:
    """Count a collection; `tell` hears how many of the documents have been read.

    One document is in memory at a time, with 16 bytes for each that was read.
    """
    qrels = collection.qrels
    relevant = [sum(grade > 0 for grade in judged.values()) for judged in qrels.values()]
    texts = [text for text in collection.queries.values() if text.strip()]
    grades = Counter(grade for judged in qrels.values() for grade in judged.values())
    return Description(
        name=collection.name,
        split=collection.split,
        queries=len(collection.queries),
        judgements=grades.total(),
        grades=dict(sorted(grades.items())),
        query_words=_spread(Counter(len(text.split()) for text in texts)),
        depth=_spread(Counter(map(len, qrels.values()))),
        relevant=_spread(Counter(relevant)),
        unjudged=collection.unjudged,
        without_text=len(collection.queries) - len(texts),
        without_relevant=relevant.count(0),
        corpus=None if documents is None else _count(collection, documents, tell),
    )


def _count(
    collection: Collection, documents: Documents, tell: Callable[[int], None]
) -> DocumentCounts:
    missing = {document for judged in collection.qrels.values() for document in judged}
    words: Counter[int] = Counter()
    seen: set[bytes] = set()
    empty = equal = 0
    for number, document in enumerate(documents, 1):
        missing.discard(column(document.id))
        count = len(document.title.split()) + len(document.text.split())
        words[count] += 1
        if not count:
            empty += 1
        else:
            text = f"{document.title}\0{document.text}".encode()
            digest = blake2b(text, digest_size=16).digest()
            equal += digest in seen
            seen.add(digest)
        tell(number)
    return DocumentCounts(
        documents=words.total(),
        words=_spread(words),
        empty=empty,
        equal=equal,
        missing=len(missing),
    )


def _spread(counts: Counter[int]) -> Spread:
    """Return where the values lie of which `counts` has how often each comes."""
    total = counts.total()
    if not total:
        return Spread(min=0, median=0.0, mean=0.0, max=0)
    low, high = _at(counts, (total - 1) // 2), _at(counts, total // 2)
    mean = sum(value * times for value, times in counts.items()) / total
    return Spread(min=min(counts), median=(low + high) / 2, mean=mean, max=max(counts))


def _at(counts: Counter[int], place: int) -> int:
    """Return the value at a place, from 0, of all values in order."""
    for value in sorted(counts):
        place -= counts[value]
        if place < 0:
            return value
    raise IndexError(place)


def as_lines(found: Description) -> Iterable[str]:
    """Write a description for a terminal: a name, then its figures, aligned."""
    yield f"{found.name}, split {found.split}"
    corpus = found.corpus
    grades = ", ".join(f"{times:,} of grade {grade}" for grade, times in found.grades.items())
    rows = [
        ("documents", f"{corpus.documents:,}" if corpus else "none here; name an index of them"),
        ("queries", f"{found.queries:,} judged, {found.unjudged:,} more without judgement here"),
        ("judgements", f"{found.judgements:,}: {grades}"),
    ]
    for name, value in rows:
        yield f"  {name:<24}{value}"
    yield f"  {'':<24}{'min':>7}{'median':>9}{'mean':>9}{'max':>9}"
    spreads = [
        ("words of a query", found.query_words),
        ("judgements of a query", found.depth),
        ("relevant of a query", found.relevant),
    ]
    if corpus:
        spreads.insert(0, ("words of a document", corpus.words))
    for name, each in spreads:
        figures = f"{each.min:>7,}{each.median:>9,.1f}{each.mean:>9,.1f}{each.max:>9,}"
        yield f"  {name:<24}{figures}"
    yield from _problems(found)


def _problems(found: Description) -> Iterable[str]:
    rows = [
        (found.without_text, "judged queries without a text"),
        (found.without_relevant, "judged queries without a relevant document"),
    ]
    if found.corpus:
        rows += [
            (found.corpus.missing, "judged documents that the corpus lacks"),
            (found.corpus.empty, "documents without title and text"),
            (found.corpus.equal, "documents equal to one before"),
        ]
    lines = [f"  {count:>7,} {what}" for count, what in rows if count]
    yield from ["missing or odd", *lines] if lines else ["nothing is missing or odd"]
