"""The one door to a forward pass, whatever runs it."""

import logging
from typing import TYPE_CHECKING, Protocol, TypeAlias

from indexer.errors import ClozeError
from indexer.runtime.precision import Precision, finer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.runtime.checkpoint import Checkpoint
    from indexer.runtime.classifier import ClassifierCheckpoint
    from indexer.runtime.rows import Batch

AnyCheckpoint: TypeAlias = "Checkpoint | ClassifierCheckpoint"
# The outputs of a batch, float32, the rows first: vectors, and hidden states where asked for; or
# scores.
Outputs: TypeAlias = "tuple[NDArray[np.float32], ...]"

_LOG = logging.getLogger(__name__)


class Forward(Protocol):
    """A checkpoint that runs: batches of token ids in, vectors or scores out."""

    precision: Precision

    def __call__(self, batch: "Batch") -> Outputs:
        """Return the outputs of a batch.

        An encoder gives vectors [batch, dimension] and, if it was loaded for them, hidden states
        [batch, length, hidden]; a classifier gives scores [batch].
        """
        ...


def load_forward(
    checkpoint: AnyCheckpoint,
    device: str,
    precision: Precision,
    threads: int,
    *,
    streams: int = 1,
    tokens: bool = False,
    fallback: bool = False,
) -> Forward:
    """Load a checkpoint: in OpenVINO on the CPU, or in torch where that fails, and on CUDA.

    On the CPU `streams` threads may call it at once. With `tokens` an encoder gives its hidden
    states too. With `fallback` a finer precision may take the place of int8 where that fails.

    Raises:
        ClozeError: CUDA is asked for and there is none, or the checkpoint does not load.
    """
    if device == "cpu":
        try:
            from indexer.runtime.compiled import CompiledForward

            return CompiledForward(checkpoint, precision, threads, streams=streams, tokens=tokens)
        except ClozeError:
            raise
        except Exception as error:  # OpenVINO or nncf is missing, or raises its own kinds
            if precision == "int8" and not fallback:
                raise ClozeError(
                    f"{checkpoint.name} can't run in int8 ({_short(error)}); use --precision bf16 "
                    "or fp32"
                ) from error
            instead = finer(precision, device) if precision == "int8" else "torch"
            _LOG.warning(
                "OpenVINO can't run %s in %s (%s): %s does", checkpoint.name, precision,
                _short(error), instead,
            )  # fmt: skip
        if precision == "int8":
            return load_forward(
                checkpoint, device, finer(precision, device), threads, streams=streams,
                tokens=tokens,
            )  # fmt: skip
    from indexer.runtime.eager import EagerForward

    return EagerForward(checkpoint, device, precision, threads, tokens=tokens)


def _short(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
