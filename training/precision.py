"""The number formats of training's products of matrices."""

import torch

from indexer.errors import ClozeError
from indexer.runtime.precision import has

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_AUTO = "auto"


def resolve_precision(precision: str, device: str) -> str:
    """Return a number format that was asked for; auto is bf16 where the device has it in hardware.

    Raises:
        ClozeError: training doesn't run in it.
    """
    if precision == _AUTO:
        return "bf16" if has("bf16", device) else "fp32"
    if precision not in DTYPES:
        raise ClozeError(
            f"--precision is {precision!r}; training runs in {', '.join(DTYPES)}, or {_AUTO}"
        )
    return precision
