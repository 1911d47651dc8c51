"""The forward pass in torch: on CUDA for use, and as what the CPU's compiled form is made from."""

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from indexer.errors import ClozeError

if TYPE_CHECKING:
    from indexer.runtime.checkpoint import Checkpoint


class PooledEncoder(nn.Module):
    """A BERT-family encoder with its pooling and normalisation in one module."""

    def __init__(self, encoder: nn.Module, pooling: str, *, normalize: bool) -> None:
        """Wrap an encoder whose output has `last_hidden_state`."""
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.normalize = normalize

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the pooled vectors: [batch, length] -> [batch, dimension], float32."""
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        pooled = _POOL[self.pooling](hidden, mask.unsqueeze(-1))  # [batch, dimension]
        return nn.functional.normalize(pooled, dim=1) if self.normalize else pooled


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    kept = mask.to(hidden.dtype)  # [batch, length, 1]
    return (hidden * kept).sum(1) / kept.sum(1)


def _cls(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden[:, 0]


def _max(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden.masked_fill(mask == 0, float("-inf")).max(1).values


_POOL = {"mean": _mean, "cls": _cls, "max": _max}


def load_module(checkpoint: "Checkpoint", dtype: torch.dtype) -> PooledEncoder:
    """Load a checkpoint's encoder with its pooling, for inference.

    Raises:
        ClozeError: transformers can't load it as an encoder.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
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


class EagerForward:
    """A torch forward pass in bf16 where the device has it, else fp16 on CUDA and fp32 on CPU."""

    def __init__(self, checkpoint: "Checkpoint", device: str, threads: int) -> None:
        """Load the weights onto the device."""
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ClozeError("--device cuda: torch sees no CUDA device; use --device cpu")
        torch.set_num_threads(threads)
        self.device = torch.device(device)
        if self.device.type == "cuda":
            dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        else:
            dtype = torch.float32
        self.precision = str(dtype).removeprefix("torch.")
        self._module = load_module(checkpoint, dtype).to(self.device)

    def __call__(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return one vector a row: [batch, length] ids and mask -> [batch, dimension]."""
        with torch.inference_mode():
            pooled = self._module(
                torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)
            )
        return cast(NDArray[np.float32], pooled.float().cpu().numpy())
