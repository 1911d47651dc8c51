"""Pairs of texts as one row of tokens each, by the tokenizer's own template for pairs."""

from collections.abc import Sequence
from itertools import chain

from tokenizers import Tokenizer

from indexer.errors import ClozeError
from indexer.runtime.rows import TokenRow


class PairTokenizer:
    """Pairs to token rows of at most `max_tokens`, the longer text cut first.

    The rows are those of a transformers tokenizer with `truncation="longest_first"`, in memory
    that grows with the texts alone: the library's own truncation of a pair keeps every pair of
    cut-off pieces, so two long texts would end the process.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, name: str) -> None:
        """Read the template for pairs off a tokenizer that neither pads nor truncates.

        Raises:
            ClozeError: the template puts nothing between the two texts.
        """
        self._tokenizer = tokenizer
        sample = tokenizer.encode("a", "a")
        places = sample.sequence_ids
        first = [place for place, text in enumerate(places) if text == 0]
        second = [place for place, text in enumerate(places) if text == 1]
        if not first or not second or second[0] == first[-1] + 1:
            raise ClozeError(
                f"the tokenizer.json of {name} puts no special token between the two texts of a "
                "pair; save its tokenizer again with AutoTokenizer.from_pretrained(...)"
                ".save_pretrained(...)"
            )
        tokens = list(zip(sample.ids, sample.type_ids, strict=True))
        self._before = tokens[: first[0]]
        self._between = tokens[first[-1] + 1 : second[0]]
        self._after = tokens[second[-1] + 1 :]
        self._types = sample.type_ids[first[0]], sample.type_ids[second[0]]
        self._room = max_tokens - len(self._before + self._between + self._after)

    def rows(self, pairs: Sequence[tuple[str, str]]) -> list[TokenRow]:
        """Return one row a pair, in order; a text that several pairs share is read once."""
        texts = list(dict.fromkeys(chain.from_iterable(pairs)))
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = {text: encoding.ids for text, encoding in zip(texts, encodings, strict=True)}
        return [self._row(ids[first], ids[second]) for first, second in pairs]

    def _row(self, first: list[int], second: list[int]) -> TokenRow:
        kept_first, kept_second = longest_first(len(first), len(second), self._room)
        type_first, type_second = self._types
        tokens = [
            *self._before, *((token, type_first) for token in first[:kept_first]),
            *self._between, *((token, type_second) for token in second[:kept_second]),
            *self._after,
        ]  # fmt: skip
        return TokenRow([token for token, _ in tokens], [kind for _, kind in tokens])


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens of two texts are kept when both share `room` tokens.

    The shorter text is whole while it takes no more than half of the room; of two that take more,
    each keeps half, and an odd token is the second's unless the first is longer.
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)
    return (shorter, room - shorter) if first <= second else (room - shorter, shorter)
