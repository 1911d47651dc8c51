"""Checkpoints converted and compiled by OpenVINO, once, and cached by what they are made from."""

import hashlib
import logging
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import openvino

from indexer.caches import cache_home
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.form_cache import cached
from indexer.runtime.precision import has, processor_flags

if TYPE_CHECKING:
    from indexer.runtime.forward import AnyCheckpoint
    from indexer.runtime.precision import Precision

# Raised when what is converted from a checkpoint changes, so that older conversions are not reused.
_CONVERSION = 2
_HASH_LENGTH = 32
_LOG = logging.getLogger(__name__)


def converted(checkpoint: "AnyCheckpoint") -> Path:
    """Return the model.xml of a checkpoint in float32, made anew where absent or damaged."""
    name = _key(checkpoint)
    return _cached(checkpoint, name, lambda folder: _export(checkpoint, folder)) / "model.xml"


def quantised(checkpoint: "AnyCheckpoint") -> Path:
    """Return the model.xml of a checkpoint in int8, made anew where absent or damaged."""

    def make(folder: Path) -> None:
        from indexer.runtime.quantisation import quantise

        quantise(checkpoint, converted(checkpoint), folder)

    return _cached(checkpoint, _form(checkpoint, "int8"), make) / "model.xml"


def compiled(checkpoint: "AnyCheckpoint", precision: "Precision", *, tokens: bool) -> Path:
    """Return the model.blob of a checkpoint, compiled for this processor and any threads.

    It opens in a third of the time that compiling takes. With `tokens` an encoder's has its hidden
    states as a second output.
    """
    core = openvino.Core()
    hint = precision_hint(precision)

    def make(folder: Path) -> None:
        source = quantised(checkpoint) if precision == "int8" else converted(checkpoint)
        model = core.read_model(source)
        if isinstance(checkpoint, Checkpoint) and not tokens:
            # Without their output the hidden states need not be kept.
            model = openvino.Model([model.get_results()[0]], model.get_parameters(), "encoder")
        blob = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint}).export_model()
        (folder / "model.blob").write_bytes(blob.getbuffer())

    processor = hashlib.sha256(" ".join(sorted(processor_flags())).encode()).hexdigest()[:8]
    name = f"{_form(checkpoint, precision)}-{hint}{'-tokens' if tokens else ''}-{processor}"
    return _cached(checkpoint, name, make) / "model.blob"


def discard(form: Path) -> None:
    """Remove a form by the path of its model, so that it is made anew when it is next asked for."""
    shutil.rmtree(form.parent, ignore_errors=True)


def precision_hint(precision: "Precision") -> str:
    """Return what OpenVINO computes in where it does not multiply integers."""
    return "bf16" if precision != "fp32" and has("bf16", "cpu") else "f32"


def _form(checkpoint: "AnyCheckpoint", precision: "Precision") -> str:
    """Name what a compiled form is made from."""
    from indexer.runtime.calibration import CALIBRATION_HASH

    key = _key(checkpoint)
    return f"{key}-int8-{CALIBRATION_HASH[:8]}" if precision == "int8" else key


def _key(checkpoint: "AnyCheckpoint") -> str:
    version = openvino.__version__.split("-")[0]
    return f"{checkpoint.content_hash[:_HASH_LENGTH]}-{_CONVERSION}-{version}"


def _cached(checkpoint: "AnyCheckpoint", name: str, make: Callable[[Path], None]) -> Path:
    return cached(cache_home() / "converted", name, make, lambda each: _outdated(checkpoint, each))


def _outdated(checkpoint: "AnyCheckpoint", name: str) -> bool:
    """Tell whether a form is this checkpoint's, by an OpenVINO or a recipe that are not today's."""
    if not name.startswith(f"{checkpoint.content_hash[:_HASH_LENGTH]}-"):
        return False
    key = _key(checkpoint)
    kept = _form(checkpoint, "int8") if name.startswith(f"{key}-int8-") else key
    return not f"{name}-".startswith(f"{kept}-")


def _export(checkpoint: "AnyCheckpoint", folder: Path) -> None:
    import torch

    from indexer.runtime.eager import load_module, try_out

    _LOG.warning("converting %s for this processor, once; it takes some 15 s", checkpoint.name)
    module = load_module(checkpoint, torch.float32)
    inputs = 2 if isinstance(checkpoint, Checkpoint) else 3
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    # Any size but 1, which export would freeze; and a tensor each, or it takes them for one.
    example = tuple(torch.ones(3, 48, dtype=torch.long) for _ in range(inputs))
    try_out(module, checkpoint, example)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch and OpenVINO warn about each other's insides
        program = torch.export.export(
            module, example, dynamic_shapes=(dynamic,) * inputs, strict=False
        )
        model = openvino.convert_model(program)
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
