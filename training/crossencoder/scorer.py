"""A cross-encoder in training: pairs of query and passage in, scores out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.model import read_tokenizer
from indexer.runtime.pairs import PairTokenizer
from training.bert import dense, encode
from training.finetuning.checkpoint import load_classifier
from training.finetuning.encoder import PLACES_AT_ONCE
from training.finetuning.rows import TextRows, text_rows

if TYPE_CHECKING:
    from transformers import BertForSequenceClassification

# Pairs that are tokenised at once where many are scored.
_PAIRS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTokens:
    """A pair's tokens, `[CLS] query [SEP] passage [SEP]`, and their segments, 0 and 1."""

    ids: Sequence[int]
    type_ids: Sequence[int]

    def __len__(self) -> int:
        """Return how many tokens there are."""
        return len(self.ids)


class Scorer:
    """A BERT with its pooler and a classifier of one label, whose logit is the score.

    Pairs are tokenised as they are where the model is used, the longer text cut first, to at most
    `length` tokens. `is_new` tells that the checkpoint had no classifier, and it began at random.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        length: int,
        seed: int,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        """Load tokenizer and weights.

        Raises:
            ClozeError: it is no BERT, can't tell two segments apart, or its tokenizer has no
                template for pairs.
        """
        self.checkpoint = checkpoint
        self._tokenizer = PairTokenizer(read_tokenizer(checkpoint), length, checkpoint.name)
        model, self.is_new = load_classifier(checkpoint, seed)
        self.model: BertForSequenceClassification = nn.Module.to(model, device)
        self._dtype = dtype
        self._device = device

    def tokenised(self, pairs: Sequence[tuple[str, str]]) -> list[PairTokens]:
        """Tokenise pairs of query and passage."""
        return [
            PairTokens(ids=row.ids, type_ids=row.types or ()) for row in self._tokenizer.rows(pairs)
        ]

    def scores(self, rows: TextRows) -> Tensor:
        """Return the scores of packed pairs, float32, [pairs], in the order of `texts`.

        BertForSequenceClassification's without dropout; the classifier's product is in float32, as
        where the model is used, for a score in bfloat16 has steps of 1/16 beyond 8.
        """
        moved = rows.to(self._device)
        hidden = encode(self.model.bert, moved.inputs, self._dtype)  # [rows, width, hidden]
        pooler, classifier = self.model.bert.pooler, self.model.classifier
        if pooler is None:
            raise AssertionError("a classifier has a pooler")
        pooled = torch.tanh(dense(pooler.dense, moved.firsts(hidden), self._dtype).float())
        return functional.linear(pooled, classifier.weight, classifier.bias).squeeze(1)

    @torch.no_grad()
    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the scores of pairs in their order, [pairs]."""
        found = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            part = found[start : start + _PAIRS_AT_ONCE]
            for rows in text_rows(
                self.tokenised(pairs[start : start + _PAIRS_AT_ONCE]), PLACES_AT_ONCE
            ):
                part[rows.texts.numpy()] = self.scores(rows).cpu().numpy()
        return found
