"""A converted checkpoint in int8: post-training quantisation by nncf over fixed texts."""

import contextlib
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino

from indexer.runtime.calibration import SMOOTHING, calibration_rows
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.rows import padded, padded_length

if TYPE_CHECKING:
    from indexer.runtime.forward import AnyCheckpoint

# OpenVINO computes it in floating point anyway, so integers there would only lose; and beside bf16
# OpenVINO 2026.4 gets them wrong at 32 tokens, giving vectors of cosine .76 to the right ones.
_FLOATING = "ScaledDotProductAttention"
_LOG = logging.getLogger(__name__)


def quantise(checkpoint: "AnyCheckpoint", source: Path, folder: Path) -> None:
    """Write the int8 form of a converted checkpoint into a folder, as model.xml.

    Weights and activations of linear layers become 8-bit integers with fixed scales, so that what
    a row gives still depends on that row alone; attention and normalisation stay floating. Whoever
    changes this raises `_RECIPE` of indexer.runtime.calibration.
    """
    _LOG.warning("quantising %s for this processor, once; it takes some 30 s", checkpoint.name)
    import nncf

    nncf.set_log_level(logging.ERROR)
    inputs = _inputs(checkpoint)
    with contextlib.redirect_stdout(io.StringIO()):  # nncf draws its bars there
        model = nncf.quantize(
            openvino.Core().read_model(source),
            nncf.Dataset(inputs, dict),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(types=[_FLOATING], validate=False),
            subset_size=len(inputs),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=SMOOTHING)
            ),
        )
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)


def _inputs(checkpoint: "AnyCheckpoint") -> list[dict[int, Any]]:
    limit = checkpoint.max_tokens
    prepared = []
    for row in calibration_rows(checkpoint):
        batch = padded([row], padded_length(len(row.ids), limit))
        arrays = [batch.ids, batch.mask]
        if not isinstance(checkpoint, Checkpoint):
            arrays.append(batch.types)
        prepared.append(dict(enumerate(arrays)))
    return prepared
