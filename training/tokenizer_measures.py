"""What a tokenizer does to text: unknown pieces, pieces a word, what comes back when decoded."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What a tokenizer did to some texts.

    `unknown_rate` is the share of tokens that are [UNK]; a word, of `tokens_per_word`, is what
    BERT's pre-tokenizer calls one, a punctuation mark too; `round_trip` is the share of texts that
    decode to what they are after normalisation, white space apart. Where no text has a token, the
    first two are 0.
    """

    texts: int
    tokens: int
    unknown_rate: float
    tokens_per_word: float
    round_trip: float


def measure(tokenizer: Tokenizer, texts: Sequence[str]) -> Measures:
    """Measure a tokenizer that has [UNK] on one or more texts."""
    unknown = tokenizer.get_vocab()["[UNK]"]
    tokens = unknowns = words = returned = 0
    for start in range(0, len(texts), _BATCH):
        batch = list(texts[start : start + _BATCH])
        for text, encoded in zip(
            batch, tokenizer.encode_batch(batch, add_special_tokens=False), strict=True
        ):
            tokens += len(encoded.ids)
            unknowns += encoded.ids.count(unknown)
            words += len({word for word in encoded.word_ids if word is not None})
            decoded = tokenizer.decode(encoded.ids, skip_special_tokens=False)
            returned += _bare(decoded) == _bare(tokenizer.normalizer.normalize_str(text))
    return Measures(
        texts=len(texts),
        tokens=tokens,
        unknown_rate=unknowns / max(1, tokens),
        tokens_per_word=tokens / max(1, words),
        round_trip=returned / len(texts),
    )


def _bare(text: str) -> str:
    return "".join(text.split())
