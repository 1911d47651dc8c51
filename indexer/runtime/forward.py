"""The one door to a forward pass, whatever runs it."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.runtime.checkpoint import Checkpoint


class Forward(Protocol):
    """A compiled encoder: token ids in, pooled vectors out."""

    precision: str

    def __call__(
        self, ids: "NDArray[np.int64]", mask: "NDArray[np.int64]"
    ) -> "NDArray[np.float32]":
        """Return one vector a row: [batch, length] ids and mask -> [batch, dimension]."""
        ...


def load_forward(checkpoint: "Checkpoint", device: str, threads: int, streams: int = 1) -> Forward:
    """Load a checkpoint for a device: OpenVINO on the CPU, torch on CUDA.

    On the CPU `streams` threads may call it at once.

    Raises:
        ClozeError: CUDA is asked for and there is none, or the checkpoint does not load.
    """
    if device == "cpu":
        from indexer.runtime.compiled import CompiledForward

        return CompiledForward(checkpoint, threads, streams)
    from indexer.runtime.eager import EagerForward

    return EagerForward(checkpoint, device, threads)
