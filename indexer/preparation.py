"""Documents made ready for the store: what changed is cut, and encoded where its text is new."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.documents import Document
from indexer.errors import RequestError
from indexer.near_duplicates import sketch
from indexer.passages import Cut, PassageRule, cut
from indexer.records import PASSAGE_BITS, Entry, Row, StoredPassage
from indexer.store import Store

if TYPE_CHECKING:
    from indexer.encoder import Encoder
    from indexer.token_vectors import TokenCoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Documents sorted out against the store: to write, of which replacing, and left alone."""

    entries: list[Entry]
    updated: int
    unchanged: int
    encoded_texts: int


def prepare(
    documents: Sequence[Document],
    store: Store,
    encoder: "Encoder | None",
    rule: PassageRule,
    encoded: Callable[[int], None],
    coder: "TokenCoder | None" = None,
) -> Batch:
    """Cut and encode what is new or changed; a passage whose text is unchanged keeps its vectors.

    `encoded` hears, after every batch of the encoder, of how many documents that is about. With
    `coder` passages get token vectors too.
    """
    stored = store.live([document.id for document in documents])
    hashes = {d.id: (text_hash(d), metadata_hash(d)) for d in documents}
    changed = [d for d in documents if not _same(stored.get(d.id), hashes[d.id])]
    cuts = _cut(changed, encoder, rule)
    keys = [[_hash(passage.text) for passage in each.passages] for each in cuts]
    known: dict[bytes, bytes] = {}
    codes: dict[bytes, bytes] = {}
    for document in changed:
        if row := stored.get(document.id):
            known |= store.vectors_of(row.number)
            codes |= store.intact_codes_of(row.number) if coder else {}
    new = {
        key: passage.text
        for each, its_keys in zip(cuts, keys, strict=True)
        for passage, key in zip(each.passages, its_keys, strict=True)
        if key not in known or (coder and key not in codes)
    }
    if encoder is not None and new:
        finished = 0

        def count(texts: int) -> None:
            nonlocal finished
            finished += texts
            encoded((len(documents) - 1) * finished // len(new))

        vectors, its_codes = _encode(encoder, coder, list(new.values()), count)
        known |= zip(new, vectors, strict=True)
        codes |= zip(new, its_codes, strict=False)
    entries = [
        Entry(
            document=document,
            text_hash=hashes[document.id][0],
            metadata_hash=hashes[document.id][1],
            passages=tuple(
                StoredPassage(
                    start=p.start, end=p.end, key=key, vector=known[key], codes=codes.get(key)
                )
                for p, key in zip(each.passages, its_keys, strict=True)
            ),
            tokens=each.tokens,
            dropped=each.dropped,
            sketch=sketch(document.text),
        )
        for document, each, its_keys in zip(changed, cuts, keys, strict=True)
    ]
    return Batch(
        entries=entries,
        updated=sum(document.id in stored for document in changed),
        unchanged=len(documents) - len(changed),
        encoded_texts=len(new),
    )


def _encode(
    encoder: "Encoder",
    coder: "TokenCoder | None",
    texts: Sequence[str],
    encoded: Callable[[int], None],
) -> tuple[list[bytes], list[bytes]]:
    """Return float16 vectors of texts, and their codes where there is a coder."""
    import numpy as np

    codes: list[bytes] = []
    if coder is None:
        vectors = encoder.encode_documents(texts, encoded=encoded)
    else:
        vectors, codes = coder.encode_both(encoder, texts, encoded)
    return [row.tobytes() for row in vectors.astype(np.float16)], codes


def passage_texts(
    document: Document, encoder: "Encoder", rule: PassageRule
) -> list[tuple[bytes, str]]:
    """Return a document's passages as the encoder reads them, each with the key of its vector."""
    found = _cut([document], encoder, rule)[0]
    return [(_hash(passage.text), passage.text) for passage in found.passages]


def _cut(documents: Sequence[Document], encoder: "Encoder | None", rule: PassageRule) -> list[Cut]:
    if encoder is None:
        return [Cut(passages=(), tokens=0, dropped=0) for _ in documents]
    titles = encoder.token_offsets([document.title for document in documents])
    texts = encoder.token_offsets([document.text for document in documents])
    return [
        _bounded(document, cut(document, title, text, rule, encoder.added_tokens))
        for document, title, text in zip(documents, titles, texts, strict=True)
    ]


def _bounded(document: Document, found: Cut) -> Cut:
    if len(found.passages) >> PASSAGE_BITS:
        raise RequestError(
            f"{document.id!r} gives {len(found.passages):,} passages, a document may have "
            f"{(1 << PASSAGE_BITS) - 1:,}; split it, or use longer passages"
        )
    return found


def _same(row: Row | None, hashes: tuple[bytes, bytes]) -> bool:
    return row is not None and (row.text_hash, row.metadata_hash) == hashes


def text_hash(document: Document) -> bytes:
    """Hash what decides a document's terms and vectors: its title and text."""
    return _hash(f"[{_json(document.title)}, {_json(document.text)}]")


def metadata_hash(document: Document) -> bytes:
    """Hash a document's metadata, whatever the order of its fields."""
    return _hash(_json(document.metadata)) if document.metadata else _NO_METADATA


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


_json = json.JSONEncoder(sort_keys=True).encode
_NO_METADATA = _hash("{}")
