"""The forward pass on the CPU by OpenVINO."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino

from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.conversion import compiled, discard, precision_hint

if TYPE_CHECKING:
    from indexer.runtime.forward import AnyCheckpoint, Outputs
    from indexer.runtime.precision import Precision
    from indexer.runtime.rows import Batch


class CompiledForward:
    """An OpenVINO forward pass in fp32, bf16 or int8.

    Measured: the same rows give the same bits whatever shares their batch and however many
    threads run, given one padded length a batch; the tests hold it.
    """

    def __init__(
        self,
        checkpoint: "AnyCheckpoint",
        precision: "Precision",
        threads: int,
        *,
        streams: int = 1,
        tokens: bool = False,
    ) -> None:
        """Open the compiled form, which is made first where there is none.

        Each of `streams` threads may call it at once, with its share of the threads: no operation
        waits for the slower of two then, which on a busy machine is half of the time.
        """
        self.precision: Precision = precision
        self.streams = streams
        path = compiled(checkpoint, precision, tokens=tokens)
        try:
            self._open(path, threads)
        except RuntimeError:  # by another build of OpenVINO, whose version is the same
            discard(path)
            self._open(compiled(checkpoint, precision, tokens=tokens), threads)
        self._is_encoder = isinstance(checkpoint, Checkpoint)
        self._outputs = len(self._model.outputs)
        self._local = threading.local()

    def _open(self, path: Path, threads: int) -> None:
        # Its weights are read where they lie, so it must outlive the model. OpenVINO wants memory
        # that it could write to, and does not.
        self._blob = np.memmap(path, np.uint8, "c")
        self._model = openvino.Core().import_model(
            openvino.Tensor(self._blob, shared_memory=True),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": precision_hint(self.precision),
                "NUM_STREAMS": self.streams,
                "INFERENCE_NUM_THREADS": threads,
            },
        )

    def __call__(self, batch: "Batch") -> "Outputs":
        """Return the outputs of a batch, as `Forward` describes."""
        if not hasattr(self._local, "request"):
            self._local.request = self._model.create_infer_request()
        inputs = [batch.ids, batch.mask]
        if not self._is_encoder:
            inputs.append(batch.types)
        found = self._local.request.infer(inputs)
        # The request reuses its output buffers.
        return tuple(found[place].copy() for place in range(self._outputs))
