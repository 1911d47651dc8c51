"""A frozen encoder's vectors of texts, those of every layer from one forward pass."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from indexer.errors import ClozeError
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.eager import pretrained, refuse_missing, try_out
from indexer.runtime.model import read_tokenizer
from indexer.runtime.precision import Precision, has
from indexer.runtime.rows import TokenRow, batches, padded, token_budget

if TYPE_CHECKING:
    from indexer.runtime.rows import Batch

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def default_precision(device: str) -> Precision:
    """Return bf16 where the device has it in hardware, else fp32."""
    return "bf16" if has("bf16", device) else "fp32"


class FrozenEncoder:
    """An encoder whose every layer gives a text one vector: the mean over its tokens.

    All tokens of the text count, special ones too, padding never; so the last layer's vector is
    what sentence-transformers' mean pooling gives. `tokens` and `truncated` count what has run,
    and the texts that were longer than the model reads.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, device: str, precision: Precision, threads: int
    ) -> None:
        """Load tokenizer and weights.

        Raises:
            ClozeError: either can't be loaded, or there is no such device.
        """
        from transformers import AutoModel

        if device == "cuda" and not torch.cuda.is_available():
            raise ClozeError("--device cuda: torch sees no CUDA device; use --device cpu")
        torch.set_num_threads(threads)
        self.tokens = self.truncated = 0
        self._name = checkpoint.name
        self._limit = checkpoint.max_tokens
        self._tokenizer = read_tokenizer(checkpoint)
        self._tokenizer.enable_truncation(self._limit)
        self._device = device
        model, missing = pretrained(AutoModel, checkpoint, _DTYPES[precision], "an encoder")
        # Of BERT's pooler, which many files leave out, no vector here is made.
        refuse_missing((each for each in missing if "pooler" not in each.split(".")), checkpoint)
        self._model = model.eval().to(device)
        row = torch.ones(1, min(4, self._limit), dtype=torch.long, device=device)
        try_out(self._model, checkpoint, [row, row])

    def vectors(
        self, texts: Sequence[str], done: Callable[[int], None] = lambda count: None
    ) -> NDArray[np.float32]:
        """Return the vectors of texts by layer, the embeddings first.

        [layers + 1, texts, hidden]; `done` hears of each batch how many texts it had.

        Raises:
            ClozeError: the model gives numbers that are not finite.
        """
        encodings = self._tokenizer.encode_batch(list(texts))
        rows = [TokenRow(encoding.ids) for encoding in encodings]
        self.tokens += sum(len(row.ids) for row in rows)
        self.truncated += sum(bool(encoding.overflowing) for encoding in encodings)
        found: NDArray[np.float32] | None = None
        work = batches([len(row.ids) for row in rows], self._limit, token_budget(self._device))
        for length, places in work:
            pooled = self._run(padded([rows[place] for place in places], length))
            if found is None:
                found = np.empty((len(pooled), len(texts), pooled.shape[2]), dtype=np.float32)
            found[:, places] = pooled
            done(len(places))
        if found is None:
            raise AssertionError("there are no texts")
        if not np.isfinite(found).all():
            raise ClozeError(
                f"{self._name} gives vectors that are not finite; its weights are damaged or its "
                "training diverged: take an earlier checkpoint"
            )
        return found

    @torch.inference_mode()
    def _run(self, batch: "Batch") -> NDArray[np.float32]:
        ids = torch.from_numpy(batch.ids).to(self._device)  # [batch, length]
        mask = torch.from_numpy(batch.mask).to(self._device)
        hidden = self._model(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        share = (mask / mask.sum(1, keepdim=True)).unsqueeze(1)  # [batch, 1, length]
        # In float32, in which the sum of many tokens loses nothing.
        pooled = [torch.bmm(share, layer.float()).squeeze(1) for layer in hidden]
        return torch.stack(pooled).cpu().numpy()  # [layers + 1, batch, hidden]
