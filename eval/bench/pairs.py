"""Pairs of a query and passages of about one length, made of a corpus."""

import random
from collections.abc import Iterable

from tokenizers import Tokenizer

from indexer.documents import Document
from indexer.errors import ClozeError

_QUERY_WORDS = 10
# Pairs are so much shorter or longer than asked for, at most.
_SPREAD = 0.15
_SPECIAL = 3


def make_pairs(
    documents: Iterable[Document], tokenizer: Tokenizer, count: int, tokens: int
) -> list[tuple[str, str]]:
    """Pair the first ten words of the first document with the beginnings of those after it.

    A pair has `tokens` tokens, 15% more or less by a seed, special ones included.

    Raises:
        ClozeError: too few documents are long enough.
    """
    rng = random.Random(0)
    query = ""
    room = 0
    passages: list[str] = []
    for document in documents:
        text = f"{document.title} {document.text}".strip()
        if not query:
            query = " ".join(text.split()[:_QUERY_WORDS])
            room = tokens - _SPECIAL - len(_offsets(tokenizer, query))
            continue
        offsets = _offsets(tokenizer, text)
        wanted = max(1, room + round(tokens * rng.uniform(-_SPREAD, _SPREAD)))
        if len(offsets) >= wanted:
            passages.append(text[: offsets[wanted - 1][1]])
        if len(passages) == count:
            return [(query, passage) for passage in passages]
    raise ClozeError(
        f"the corpus has {len(passages)} passages for pairs of {tokens} tokens, asked for {count}; "
        f"give --pairs {len(passages)}, fewer --tokens or more text"
    )


def _offsets(tokenizer: Tokenizer, text: str) -> list[tuple[int, int]]:
    offsets: list[tuple[int, int]] = tokenizer.encode(text, add_special_tokens=False).offsets
    return offsets
