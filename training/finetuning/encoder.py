"""A sentence encoder in training: texts in, vectors of unit length out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from indexer.errors import ClozeError
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.model import read_tokenizer
from training.bert import encode
from training.finetuning.checkpoint import load_encoder
from training.finetuning.rows import TextRows, text_rows

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import BertModel

POOLINGS = ("mean", "cls")
PLACES_AT_ONCE = 8192


class TextEncoder:
    """A BERT whose last hidden states, pooled and normalised, are a text's vector.

    `length` bounds the tokens of a text, special ones included.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        pooling: str | None,
        length: int,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        """Load tokenizer and weights; without `pooling` the checkpoint's own is used.

        Raises:
            ClozeError: it is no BERT, there is no such pooling, or it has too few positions.
        """
        self.checkpoint = checkpoint
        self.pooling = pooling or checkpoint.pooling
        if self.pooling not in POOLINGS:
            raise ClozeError(
                f"the pooling is {self.pooling!r}, and training has {' and '.join(POOLINGS)}; "
                "choose one with --pooling"
            )
        if length > checkpoint.max_tokens:
            raise ClozeError(
                f"--length is {length} and {checkpoint.name} reads {checkpoint.max_tokens} tokens; "
                "give at most that"
            )
        self.model: BertModel = nn.Module.to(load_encoder(checkpoint), device)
        self._dtype = dtype
        self._device = device
        self._tokenizer = read_tokenizer(checkpoint)
        self._tokenizer.enable_truncation(length)

    @property
    def is_on_cpu(self) -> bool:
        """Tell whether the model is in the machine's own memory."""
        return self._device == "cpu"

    def queries(self, texts: Sequence[str]) -> "list[Encoding]":
        """Tokenise queries, the checkpoint's prompt in front of each."""
        return self._tokenised(texts, self.checkpoint.query_prompt)

    def documents(self, texts: Sequence[str]) -> "list[Encoding]":
        """Tokenise documents, the checkpoint's prompt in front of each."""
        return self._tokenised(texts, self.checkpoint.document_prompt)

    def vectors(self, rows: TextRows) -> Tensor:
        """Return the vectors of packed texts, float32, [texts, hidden], in the order of `texts`."""
        moved = rows.to(self._device)
        hidden = encode(self.model, moved.inputs, self._dtype)  # [rows, width, hidden]
        pooled = moved.means(hidden) if self.pooling == "mean" else moved.firsts(hidden)
        return functional.normalize(pooled, dim=1)

    @torch.no_grad()
    def encode(self, encodings: "Sequence[Encoding]") -> Tensor:
        """Return the vectors of tokenised texts in their order, no gradient kept."""
        found = torch.empty(len(encodings), self.model.config.hidden_size, device=self._device)
        for rows in text_rows(encodings, PLACES_AT_ONCE):
            found[rows.texts.to(self._device)] = self.vectors(rows)
        return found

    def _tokenised(self, texts: Sequence[str], prompt: str) -> "list[Encoding]":
        encodings: list[Encoding] = self._tokenizer.encode_batch([prompt + text for text in texts])
        return encodings
