"""The forward pass on the CPU by OpenVINO, converted once from the torch module and cached."""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino
from numpy.typing import NDArray

from indexer.models import cache_home

if TYPE_CHECKING:
    from indexer.runtime.checkpoint import Checkpoint

# Raised when what is converted from a checkpoint changes, so that older conversions are not reused.
_CONVERSION = 1
_BF16_CAPABILITY = "BF16"
_LOG = logging.getLogger(__name__)


class CompiledForward:
    """An OpenVINO forward pass in bf16 where the processor has it in hardware, else fp32.

    Measured: the same rows give the same bits whatever shares their batch and however many
    threads run, given one padded length a batch; the tests hold it.
    """

    def __init__(self, checkpoint: "Checkpoint", threads: int, streams: int = 1) -> None:
        """Compile the cached conversion, converting first where there is none.

        Each of `streams` threads may call it at once, with its share of the threads: no operation
        waits for the slower of two then, which on a busy machine is half of the time.
        """
        core = openvino.Core()
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = "bfloat16" if _BF16_CAPABILITY in capabilities else "float32"
        model = core.compile_model(
            _converted(checkpoint),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bfloat16" else "f32",
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": threads,
            },
        )
        self._model = model
        self._local = threading.local()

    def __call__(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return one vector a row: [batch, length] ids and mask -> [batch, dimension]."""
        if not hasattr(self._local, "request"):
            self._local.request = self._model.create_infer_request()
        vectors: NDArray[np.float32] = self._local.request.infer([ids, mask])[0]
        return vectors.copy()  # the request reuses its output buffer


def _converted(checkpoint: "Checkpoint") -> Path:
    """Return the checkpoint's conversion in the cache, made anew when absent or damaged."""
    version = f"{_CONVERSION}-{openvino.__version__.split('-')[0]}"
    folder = cache_home() / "converted" / f"{checkpoint.content_hash[:32]}-{version}"
    if not _intact(folder):
        with _scratch(folder) as scratch:
            _convert(checkpoint, scratch)
    return folder / "model.xml"


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


def _convert(checkpoint: "Checkpoint", folder: Path) -> None:
    _LOG.warning("converting %s for this processor, once; it takes some 15 s", checkpoint.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and OpenVINO warn about each other's insides
        _export(checkpoint, folder)


def _export(checkpoint: "Checkpoint", folder: Path) -> None:
    import torch

    from indexer.runtime.eager import load_module

    module = load_module(checkpoint, torch.float32)
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    # Any size but 1, which export would freeze; and two tensors, or it takes both inputs for one.
    example = (torch.ones(3, 48, dtype=torch.long), torch.ones(3, 48, dtype=torch.long))
    with torch.no_grad():
        program = torch.export.export(
            module, example, dynamic_shapes=(dynamic, dynamic), strict=False
        )
    openvino.save_model(
        openvino.convert_model(program), folder / "model.xml", compress_to_fp16=False
    )
