"""The peer in onnxruntime: the encoder exported once, its weights and inputs in 8 bits.

What sentence-transformers' `export_dynamic_quantized_onnx_model(..., "avx512_vnni")` makes: signed
8-bit weights by column, inputs quantised by each call's own range.
"""

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn
from transformers import AutoModel

from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.eager import quiet_transformers
from indexer.runtime.model import read_tokenizer

BATCH = 32
_INPUTS = ["input_ids", "attention_mask"]
_OPSET = 17


class _Hidden(nn.Module):
    """An encoder that gives its last hidden states alone."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        hidden: Tensor = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden


class OnnxEncoder:
    """An encoder with mean pooling in onnxruntime, in int8; vectors have norm 1."""

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        """Export and quantise the checkpoint, and load what that gives."""
        self._tokenizer = read_tokenizer(checkpoint)
        self._tokenizer.enable_truncation(checkpoint.max_tokens)
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        with tempfile.TemporaryDirectory() as place:
            path = _quantised(_exported(checkpoint, Path(place)))
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, run by 32 of about one length: [texts, hidden]."""
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        found = np.concatenate([self._run([texts[place] for place in each]) for each in batches])
        vectors = np.empty_like(found)
        vectors[order] = found
        return vectors

    def _run(self, texts: Sequence[str]) -> NDArray[np.float32]:
        encodings = self._tokenizer.encode_batch(list(texts))
        ids = np.array([each.ids for each in encodings])  # [batch, length]
        mask = np.array([each.attention_mask for each in encodings])
        hidden = self._session.run(None, dict(zip(_INPUTS, (ids, mask), strict=True)))[0]
        kept = mask[..., None].astype(np.float32)
        pooled = (hidden * kept).sum(1) / kept.sum(1)  # [batch, hidden]
        unit: NDArray[np.float32] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return unit


def _exported(checkpoint: Checkpoint, folder: Path) -> Path:
    quiet_transformers()
    # Written out, attention ran faster in onnxruntime 1.31 than torch's fused form exported did.
    encoder = AutoModel.from_pretrained(
        checkpoint.folder, dtype=torch.float32, local_files_only=True, use_safetensors=True,
        attn_implementation="eager",
    )  # fmt: skip
    example = torch.ones(3, 48, dtype=torch.long)
    axes = {0: "batch", 1: "length"}
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch prefers its other exporter, which needs more
        torch.onnx.export(
            _Hidden(encoder).eval(), (example, example), str(path), input_names=_INPUTS,
            output_names=["hidden"], dynamic_axes=dict.fromkeys([*_INPUTS, "hidden"], axes),
            opset_version=_OPSET, dynamo=False,
        )  # fmt: skip
    return path


def _quantised(path: Path) -> Path:
    target = path.with_name("int8.onnx")
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises preparing, which changes nothing here
    try:
        quantize_dynamic(
            path, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=False
        )
    finally:
        root.setLevel(level)
    return target
