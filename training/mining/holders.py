"""Which documents of an index hold which positives, found in one pass over the index."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from indexer.index import Index
from training.mining.overlap import PIECE, holds, pieces, spelled
from training.pairs.example import Example, titled
from training.pairs.identity import digest
from training.text import Advance

_Piece: TypeAlias = tuple[str, ...]
# A positive is looked for by so many of its pieces, for a gap may break one.
_PROBES = 2
_TOLD_EVERY = 256


class Holders:
    """The documents that hold each positive, by their ids."""

    def __init__(self, ids: Mapping[bytes, Sequence[str]]) -> None:
        """Take the ids by the digest of a positive."""
        self._ids = ids

    def of(self, positive: str) -> Sequence[str]:
        """Return the ids of the documents that hold a positive, none where it isn't there."""
        return self._ids.get(digest(positive), ())


def find_holders(index: Index, examples: Sequence[Example], progress: Advance) -> Holders:
    """Read all live documents of an index once, and find those that hold a positive.

    A document holds it where title and text do, by `overlap.holds`. Only positives that share one
    of the two pieces with their rarest words are compared with a document, so a pass over the index
    takes about as long as to read it. Call it while the index is being read.
    """
    texts = list({digest(text): text for each in examples for text in each.positives}.items())
    probes = _probes([text for _, text in texts])
    count = index.lexical.count
    found: dict[int, list[int]] = defaultdict(list)  # by place among the texts
    for read, (number, title, text) in enumerate(index.store.live_texts(), 1):
        whole = spelled(titled(title, text))
        for place in _suspects(whole, probes):
            if holds(whole, spelled(texts[place][1])):
                found[place].append(number)
        if read % _TOLD_EVERY == 0 or read == count:
            progress(read, read / max(count, read))
    ids = index.store.ids(sorted({number for numbers in found.values() for number in numbers}))
    return Holders(
        {texts[place][0]: [ids[number] for number in numbers] for place, numbers in found.items()}
    )


def _probes(texts: Iterable[str]) -> Mapping[_Piece, Sequence[int]]:
    """Map pieces to the places of the texts that are looked for by them."""
    known = list(texts)
    frequency: Counter[str] = Counter()
    for text in known:
        frequency.update(spelled(text).split())
    probes: dict[_Piece, list[int]] = defaultdict(list)
    for place, text in enumerate(known):
        for piece in _rarest(spelled(text).split(), frequency):
            probes[piece].append(place)
    return probes


def _rarest(words: list[str], frequency: Mapping[str, int]) -> set[_Piece]:
    """Return the two pieces whose rarest word is rarest; of fewer than four words, all of them."""
    if len(words) < PIECE:
        return {tuple(words)}
    found = {tuple(piece) for piece in pieces(words)}

    def rarity(piece: _Piece) -> tuple[int, _Piece]:
        return min(frequency[word] for word in piece), piece

    return set(sorted(found, key=rarity)[:_PROBES])


def _suspects(whole: str, probes: Mapping[_Piece, Sequence[int]]) -> Iterator[int]:
    """Yield the places of the texts that a document has a probe of, each once, ascending."""
    words = whole.split()
    grams: set[_Piece] = {tuple(words)} if len(words) < PIECE else set()
    grams.update(zip(*(words[start:] for start in range(PIECE)), strict=False))
    yield from sorted({place for gram in probes.keys() & grams for place in probes[gram]})
