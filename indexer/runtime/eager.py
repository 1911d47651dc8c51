"""The forward pass in torch: on CUDA, where OpenVINO is missing, and as what it converts."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from indexer.errors import ClozeError
from indexer.runtime.checkpoint import Checkpoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.runtime.forward import AnyCheckpoint, Outputs
    from indexer.runtime.precision import Precision
    from indexer.runtime.rows import Batch

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class PooledEncoder(nn.Module):
    """A BERT-family encoder with its pooling and normalisation in one module."""

    def __init__(self, encoder: nn.Module, pooling: str, *, normalize: bool) -> None:
        """Wrap an encoder whose output has `last_hidden_state`."""
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.normalize = normalize

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors and hidden states, float32.

        [batch, length] -> [batch, dimension], [batch, length, hidden]
        """
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        pooled = _POOL[self.pooling](hidden, mask.unsqueeze(-1))  # [batch, dimension]
        return (nn.functional.normalize(pooled, dim=1) if self.normalize else pooled), hidden


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    kept = mask.to(hidden.dtype)  # [batch, length, 1]
    return (hidden * kept).sum(1) / kept.sum(1)


def _cls(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden[:, 0]


def _max(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden.masked_fill(mask == 0, float("-inf")).max(1).values


_POOL = {"mean": _mean, "cls": _cls, "max": _max}


def load_module(checkpoint: "AnyCheckpoint", dtype: torch.dtype) -> nn.Module:
    """Load a checkpoint's module for inference: an encoder with its pooling, or a classifier.

    Raises:
        ClozeError: transformers can't load it.
    """
    if isinstance(checkpoint, Checkpoint):
        return _load_encoder(checkpoint, dtype)
    from indexer.runtime.eager_classifier import load_classifier

    return load_classifier(checkpoint, dtype)


def _load_encoder(checkpoint: Checkpoint, dtype: torch.dtype) -> PooledEncoder:
    from transformers import AutoModel

    quiet_transformers()
    try:
        encoder = AutoModel.from_pretrained(
            checkpoint.folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            attn_implementation="sdpa",
        )
    except Exception as error:  # transformers raises many kinds for one unloadable folder
        raise ClozeError(
            f"{checkpoint.name} can't be loaded as an encoder "
            f"({type(error).__name__}: {str(error).splitlines()[0]}); fetch it again or choose "
            "another --model"
        ) from error
    return PooledEncoder(encoder, checkpoint.pooling, normalize=checkpoint.normalize).eval()


def quiet_transformers() -> None:
    """Keep transformers from reporting and drawing bars while it loads."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


class EagerForward:
    """A torch forward pass, on CUDA a batch at once and on the CPU row by row.

    torch's products on the CPU may sum in another order when more rows share them, so there each
    row runs alone, which keeps its outputs the same in any batch.
    """

    def __init__(
        self,
        checkpoint: "AnyCheckpoint",
        device: str,
        precision: "Precision",
        threads: int,
        *,
        tokens: bool = False,
    ) -> None:
        """Load the weights onto the device.

        Raises:
            ClozeError: CUDA is asked for and there is none.
        """
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ClozeError("--device cuda: torch sees no CUDA device; use --device cpu")
        # On the CPU a sum shared by threads is added in another order than one thread adds it.
        torch.set_num_threads(1 if device == "cpu" else threads)
        self.device = torch.device(device)
        self.precision = precision
        self.row_by_row = self.device.type == "cpu"
        self._module = load_module(checkpoint, _DTYPES[precision]).to(self.device)
        self._is_encoder = isinstance(checkpoint, Checkpoint)
        self._tokens = tokens

    def __call__(self, batch: "Batch") -> "Outputs":
        """Return the outputs of a batch, as `Forward` describes."""
        arrays = (batch.ids, batch.mask) if self._is_encoder else (
            batch.ids, batch.mask, batch.types
        )  # fmt: skip
        inputs = [self._moved(torch.from_numpy(array)) for array in arrays]  # [batch, length]
        with torch.inference_mode():
            if not self.row_by_row:
                return self._run(inputs)
            rows = [
                self._run([each[row : row + 1] for each in inputs]) for row in range(len(batch.ids))
            ]
        return tuple(_stacked(outputs) for outputs in zip(*rows, strict=True))

    def _moved(self, tensor: Tensor) -> Tensor:
        """Copy to the device, from pinned memory: it overlaps with what runs there."""
        if self.device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _run(self, inputs: list[Tensor]) -> "Outputs":
        found = self._module(*inputs)
        outputs = found if isinstance(found, tuple) else (found,)
        kept = outputs if self._tokens else outputs[:1]
        return tuple(each.float().cpu().numpy() for each in kept)


def _stacked(outputs: "tuple[NDArray[np.float32], ...]") -> "NDArray[np.float32]":
    import numpy as np

    return np.concatenate(outputs)
