"""Texts as the rows of tokens that an encoder runs, and what it makes of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.errors import RequestError
from indexer.runtime.rows import TokenRow

if TYPE_CHECKING:
    from indexer.encoder import Encoder


@dataclass(frozen=True, slots=True)
class Read:
    """A text as it is encoded: its row, and whether its tail was cut off."""

    row: TokenRow
    truncated: bool


def query_rows(encoder: "Encoder", texts: Sequence[str]) -> list[TokenRow]:
    """Return the rows of queries, with the checkpoint's query prompt."""
    return [each.row for each in read_texts(encoder, texts, queries=True)]


def read_texts(encoder: "Encoder", texts: Sequence[str], *, queries: bool) -> list[Read]:
    """Tokenise texts as queries or as documents, with the prompt of these."""
    checkpoint = encoder.checkpoint
    prompt = checkpoint.query_prompt if queries else checkpoint.document_prompt
    encodings = encoder.tokenizer.encode_batch_fast(
        [prompt + text for text in texts], add_special_tokens=True
    )
    return [_cut(encoder, each.ids) for each in encodings]


def read_tokens(encoder: "Encoder", tokens: Sequence[int], place: int) -> Read:
    """Put token ids between the special tokens of the tokenizer; `place` names them in errors.

    Raises:
        RequestError: one is not in the vocabulary.
    """
    size = encoder.tokenizer.get_vocab_size(with_added_tokens=True)
    strange = next((token for token in tokens if not 0 <= token < size), None)
    if strange is not None:
        raise RequestError(
            f"input {place} has the token {strange}, and the encoder has tokens 0 to {size - 1}; "
            "send token lists of its own tokenizer, or texts"
        )
    around = encoder.tokenizer.encode("a")
    inner = around.special_tokens_mask.index(0)
    return _cut(encoder, [*around.ids[:inner], *tokens, *around.ids[inner + 1 :]])


def _cut(encoder: "Encoder", ids: list[int]) -> Read:
    """Cut at the longest input, keeping the last special token as a tokenizer does."""
    limit = encoder.checkpoint.max_tokens
    if len(ids) <= limit:
        return Read(TokenRow(ids), truncated=False)
    return Read(TokenRow(ids[: limit - 1] + ids[-1:]), truncated=True)
