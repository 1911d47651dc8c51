"""Checkpoints converted and compiled by OpenVINO, once, and cached by what they are made from."""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import openvino

from indexer.caches import cache_home
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.precision import has, processor_flags

if TYPE_CHECKING:
    from indexer.runtime.forward import AnyCheckpoint
    from indexer.runtime.precision import Precision

# Raised when what is converted from a checkpoint changes, so that older conversions are not reused.
_CONVERSION = 2
_LOG = logging.getLogger(__name__)


def converted(checkpoint: "AnyCheckpoint") -> Path:
    """Return the model.xml of a checkpoint in float32, made anew where absent or damaged."""
    return _cached(_key(checkpoint), lambda folder: _export(checkpoint, folder)) / "model.xml"


def quantised(checkpoint: "AnyCheckpoint") -> Path:
    """Return the model.xml of a checkpoint in int8, made anew where absent or damaged."""

    def make(folder: Path) -> None:
        from indexer.runtime.quantisation import quantise

        quantise(checkpoint, converted(checkpoint), folder)

    return _cached(_form(checkpoint, "int8"), make) / "model.xml"


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
    return _cached(name, make) / "model.blob"


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
    return f"{checkpoint.content_hash[:32]}-{_CONVERSION}-{version}"


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    folder = cache_home() / "converted" / name
    if not _intact(folder):
        with _scratch(folder) as scratch:
            make(scratch)
    return folder


def _intact(folder: Path) -> bool:
    try:
        sums = json.loads((folder / "sha256.json").read_bytes())
        return bool(sums) and all(_sha256(folder / name) == value for name, value in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, and move it into place whole; the last of two writers wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as place:
        scratch = Path(place) / "new"
        scratch.mkdir()
        yield scratch
        sums = {path.name: _sha256(path) for path in scratch.iterdir()}
        (scratch / "sha256.json").write_text(json.dumps(sums))
        with contextlib.suppress(FileNotFoundError):
            folder.rename(Path(place) / "old")
        with contextlib.suppress(OSError):  # another process has put the same conversion there
            os.rename(scratch, folder)


def _export(checkpoint: "AnyCheckpoint", folder: Path) -> None:
    import torch

    from indexer.runtime.eager import load_module

    _LOG.warning("converting %s for this processor, once; it takes some 15 s", checkpoint.name)
    module = load_module(checkpoint, torch.float32)
    inputs = 2 if isinstance(checkpoint, Checkpoint) else 3
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    # Any size but 1, which export would freeze; and a tensor each, or it takes them for one.
    example = tuple(torch.ones(3, 48, dtype=torch.long) for _ in range(inputs))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch and OpenVINO warn about each other's insides
        program = torch.export.export(
            module, example, dynamic_shapes=(dynamic,) * inputs, strict=False
        )
        model = openvino.convert_model(program)
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
