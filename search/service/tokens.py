"""Token ids that a caller made, as the row that an encoder runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexer.errors import RequestError
from indexer.runtime.rows import TokenRow

if TYPE_CHECKING:
    from indexer.encoder import Encoder


def read_tokens(encoder: "Encoder", tokens: Sequence[int], place: int) -> TokenRow:
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
    return encoder.row([*around.ids[:inner], *tokens, *around.ids[inner + 1 :]])
