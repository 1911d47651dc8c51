"""The forward pass in torch: on CUDA, where OpenVINO is missing, and as what it converts."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from indexer.errors import ClozeError
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.rows import PAD_MULTIPLE

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

    encoder, missing = pretrained(AutoModel, checkpoint, dtype, "an encoder")
    # Of BERT's pooler, which many files leave out, no output here is made.
    refuse_missing((each for each in missing if "pooler" not in each.split(".")), checkpoint)
    return PooledEncoder(encoder, checkpoint.pooling, normalize=checkpoint.normalize).eval()


def pretrained(
    kind: Any,  # noqa: ANN401 - transformers' automatic classes have no type of their own
    checkpoint: "AnyCheckpoint",
    dtype: torch.dtype,
    what: str,
    **settings: Any,  # noqa: ANN401 - of the configuration, whatever they are
) -> tuple[Any, list[str]]:
    """Load what a class of transformers makes of a checkpoint, and name missing weights.

    `settings` replace those of its configuration; where `ignore_mismatched_sizes` is among them,
    weights of other sizes are missing ones.

    Raises:
        ClozeError: it can't be loaded as `what`.
    """
    quiet_transformers()
    try:
        module, loaded = kind.from_pretrained(
            checkpoint.folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **settings,
        )
    except Exception as error:  # transformers raises many kinds for one unloadable folder
        raise ClozeError(
            f"{checkpoint.name} can't be loaded as {what} ({one_line(error)}); fetch it again or "
            f"choose another {option(checkpoint)}"
        ) from error
    mismatched = [name for name, *_ in loaded["mismatched_keys"]]
    return module, sorted({*loaded["missing_keys"], *mismatched})


def option(checkpoint: "AnyCheckpoint") -> str:
    """Return the command line's option that names such a checkpoint."""
    return "--model" if isinstance(checkpoint, Checkpoint) else "--rerank"


def refuse_missing(missing: Iterable[str], checkpoint: "AnyCheckpoint") -> None:
    """Refuse a module whose files lack weights, which transformers would draw at random.

    Raises:
        ClozeError: there is any.
    """
    if lacking := sorted(missing):
        raise ClozeError(
            f"{checkpoint.name} lacks {len(lacking)} of its weights, {lacking[0]} the first; fetch "
            f"it again, or train it, or choose another {option(checkpoint)}"
        )


def try_out(module: nn.Module, checkpoint: "AnyCheckpoint", inputs: Iterable[Tensor]) -> None:
    """Run a module once.

    Raises:
        ClozeError: it can't run, as one that wants images.
    """
    try:
        with torch.no_grad():
            module(*inputs)
    except Exception as error:  # whatever the code of an architecture raises
        raise ClozeError(
            f"{checkpoint.name} does not run on token ids and mask ({one_line(error)}); choose "
            f"another {option(checkpoint)}"
        ) from error


def one_line(error: Exception) -> str:
    """Return an error's kind and the first line that it says."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


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
        """Load the weights onto the device and run them once; any threads may call it then.

        Raises:
            ClozeError: CUDA is asked for and there is none, or the checkpoint does not load or run.
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
        length = min(PAD_MULTIPLE, checkpoint.max_tokens)
        row = torch.ones(1, length, dtype=torch.long, device=self.device)
        try_out(self._module, checkpoint, [row] * (2 if self._is_encoder else 3))

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
        """Copy to the device, from pinned memory, which is the faster way.

        Nothing runs meanwhile: the outputs of a batch are fetched before the next one is copied.
        """
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
