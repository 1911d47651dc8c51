"""Texts turned into the bytes of their ids; words met before are looked up, not tokenised again."""

import re
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from tokenizers import Encoding, Tokenizer, models, normalizers, pre_tokenizers

# Texts to the bytes of each one's ids, special tokens not among them.
Encode: TypeAlias = Callable[[Sequence[str]], list[bytes]]

_KNOWN_BYTES = 100 << 20
_ENTRY_BYTES = 200  # what a word takes beside its own length
# Control characters that Python holds for white space: BertNormalizer drops them, and so joins what
# stands around them.
_DROPPED = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
_SPACE = re.compile(r"[^\S\x0b\x0c\x1c-\x1f\x85]+")
# So many new words are tokenised as one text: each call of the tokenizer costs more than a word.
_GROUP = 256


def id_code(vocabulary: int) -> str:
    """Return the code of the `array` type that holds ids: 2 bytes where they fit, else 4."""
    return "H" if vocabulary <= 2**16 else "I"


def encoder(tokenizer: Tokenizer, code: str) -> Encode:
    """Return the fastest exact way to tokenise texts."""
    return WordIds(tokenizer, code) if reads_by_words(tokenizer) else _Whole(tokenizer, code)


def reads_by_words(tokenizer: Tokenizer) -> bool:
    """Tell whether white space always parts tokens, and what is beside a word never changes it."""
    added = tokenizer.get_added_tokens_decoder().values()
    return (
        isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        and tokenizer.normalizer.clean_text
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and isinstance(tokenizer.model, models.WordPiece)
        and not any(any(map(str.isspace, token.content)) for token in added)
    )


class WordIds:
    """Tokenise by words: each new one once, in memory that the number of words doesn't change."""

    def __init__(self, tokenizer: Tokenizer, code: str) -> None:
        """Know no word yet."""
        self._tokenizer = tokenizer
        self._code = code
        self._known: dict[str, bytes] = {}
        self._bytes = 0

    def __call__(self, texts: Sequence[str]) -> list[bytes]:
        """Return the ids of each text."""
        if self._bytes > _KNOWN_BYTES:
            self._known.clear()
            self._bytes = 0
        split = [_words(text) for text in texts]
        ids = [self._look_up(words) for words in split]
        missing = [number for number, found in enumerate(ids) if found is None]
        self._learn({word for number in missing for word in split[number]})
        for number in missing:
            ids[number] = self._look_up(split[number])
        return [each for each in ids if each is not None]

    def _look_up(self, words: list[str]) -> bytes | None:
        """Return the ids of words, None where one of them isn't known."""
        try:
            return b"".join(map(self._known.__getitem__, words))
        except KeyError:
            return None

    def _learn(self, words: set[str]) -> None:
        new = [word for word in words if word not in self._known]
        groups = [new[start : start + _GROUP] for start in range(0, len(new), _GROUP)]
        encoded = self._tokenizer.encode_batch(
            [" ".join(group) for group in groups], add_special_tokens=False
        )
        for group, found in zip(groups, encoded, strict=True):
            self._known.update(zip(group, _by_word(group, found, self._code), strict=True))
        self._bytes += sum(map(len, new)) + _ENTRY_BYTES * len(new)


def _words(text: str) -> list[str]:
    """Part a text at the white space that the tokenizer holds for such."""
    if not _DROPPED.search(text):
        return text.split()
    return [word for word in _SPACE.split(text) if word]


def _by_word(words: list[str], encoded: Encoding, code: str) -> list[bytes]:
    """Cut the ids of words that were joined by spaces where each word begins."""
    ends = np.cumsum([len(word) + 1 for word in words])
    offsets = np.array(encoded.offsets, np.int64).reshape(-1, 2)
    cuts = [0, *np.searchsorted(offsets[:, 0], ends).tolist()]
    ids = array(code, encoded.ids)
    return [ids[start:end].tobytes() for start, end in pairwise(cuts)]


class _Whole:
    """Tokenise whole texts, on all of the tokenizer's threads."""

    def __init__(self, tokenizer: Tokenizer, code: str) -> None:
        self._tokenizer = tokenizer
        self._code = code

    def __call__(self, texts: Sequence[str]) -> list[bytes]:
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [array(self._code, each.ids).tobytes() for each in encoded]
