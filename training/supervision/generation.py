"""Bare text to a file of pairs: the methods over every document, duplicates out, a limit kept."""

import hashlib
import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TextIO

from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.seen import SeenIds
from search.files import whole_file
from training.pairs.identity import digest
from training.supervision.article import Article, read_article
from training.supervision.methods import METHODS
from training.supervision.pair import Pair
from training.text import Advance, Texts

# Of each method so many pairs are shown.
_SHOWN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is made of a text: by which methods, passages of how many words, at most `limit` each.

    The pairs that a limit keeps are those with the least hash: a sample of the whole text.
    """

    methods: tuple[str, ...]
    length: int = 120
    limit: int | None = None
    seed: int = 0


@dataclass(slots=True, kw_only=True)
class Made:
    """What came of it: pairs written by method, with examples, and those left out by reason."""

    documents: int = 0
    written: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    identical: int = 0
    over_limit: int = 0
    examples: dict[str, list[Pair]] = field(default_factory=dict)


def generate(texts: Texts, plan: Plan, out: Path, progress: Advance) -> Made:
    """Write the pairs of a text as JSON lines, query and positive, whole or not at all.

    Which pairs a document gives depends on it, the method and the seed alone. Of pairs that are
    equal by their texts' identity the first stays. `progress` hears of documents read. Memory holds
    one document, and with a limit the pairs that it keeps.

    Raises:
        ClozeError: the text gives no pair, it can't be read, or the file can't be written.
    """
    made = Made(written=dict.fromkeys(plan.methods, 0))
    new = _new_pairs(_pairs(texts, plan, made, progress), made)
    with whole_file(out) as file:
        if plan.limit is None:
            for method, pair, _ in new:
                _write(file, made, method, pair)
        else:
            for method, pair in _least(new, plan, made):
                _write(file, made, method, pair)
        if not any(made.written.values()):
            raise ClozeError(
                f"{texts.describe()}: {made.documents:,} documents give no pair by "
                f"{', '.join(plan.methods)}; they may be too short, or have no titles: try other "
                "methods or name other text"
            )
    return made


def chance_of(document: Document, method: str, seed: int) -> Random:
    """Return the chance that a method has with a document: its own, whatever came before it."""
    told = json.dumps([seed, method, document.title, document.text])
    return Random(hashlib.blake2b(told.encode(), digest_size=16).digest())


def _pairs(texts: Texts, plan: Plan, made: Made, progress: Advance) -> Iterator[tuple[str, Pair]]:
    for document in texts.documents():
        article = read_article(document.title, document.text)
        for method in plan.methods:
            yield from ((method, pair) for pair in _by_method(method, article, document, plan))
        made.documents += 1
        progress(made.documents, texts.position())


def _by_method(method: str, article: Article, document: Document, plan: Plan) -> Iterator[Pair]:
    return METHODS[method](article, plan.length, chance_of(document, method, plan.seed))


def _new_pairs(pairs: Iterator[tuple[str, Pair]], made: Made) -> Iterator[tuple[str, Pair, bytes]]:
    """Yield pairs that did not come before, with a hash of both texts' identities."""
    seen = SeenIds()
    for method, pair in pairs:
        query, positive = digest(pair.query), digest(pair.positive)
        both = hashlib.sha256(query + positive)
        if query == positive:
            made.identical += 1
        elif not seen.add(both.hexdigest()):
            made.duplicates += 1
        else:
            yield method, pair, both.digest()


def _least(
    pairs: Iterator[tuple[str, Pair, bytes]], plan: Plan, made: Made
) -> Sequence[tuple[str, Pair]]:
    """Return each method's pairs with the least hash, all together in its order."""
    # The greatest hash stands first in a heap of negated ones.
    kept: dict[str, list[tuple[int, str, Pair]]] = {method: [] for method in plan.methods}
    for method, pair, both in pairs:
        salted = hashlib.blake2b(f"{plan.seed}".encode() + both, digest_size=16).digest()
        entry = -int.from_bytes(salted), method, pair
        if len(kept[method]) < (plan.limit or 0):
            heapq.heappush(kept[method], entry)
        else:
            made.over_limit += 1
            heapq.heappushpop(kept[method], entry)
    return [(method, pair) for _, method, pair in sorted(
        (entry for heap in kept.values() for entry in heap), key=lambda entry: -entry[0]
    )]  # fmt: skip


def _write(file: TextIO, made: Made, method: str, pair: Pair) -> None:
    line = {"query": pair.query, "positive": pair.positive}
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    made.written[method] += 1
    shown = made.examples.setdefault(method, [])
    if len(shown) < _SHOWN:
        shown.append(pair)
