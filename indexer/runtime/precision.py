"""The number formats of a forward pass, and which of them a machine is to use."""

import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from indexer.errors import ClozeError

Precision: TypeAlias = Literal["fp32", "bf16", "fp16", "int8"]

AUTO = "auto"
CHOICES = (AUTO, "fp32", "bf16", "int8")
_FASTEST_FIRST: tuple[Precision, ...] = ("int8", "bf16", "fp16", "fp32")
_VARIABLE = "CLOZE_PRECISION"
# Processors that multiply 8-bit integers into 32-bit sums in one instruction; without it OpenVINO
# splits the work, and bf16 or fp32 is as fast.
_INT8_FLAGS = frozenset({"amx_int8", "avx512_vnni", "avx_vnni"})
_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})


def resolve(precision: str | None, device: str) -> Precision:
    """Return the precision to run in: the one asked for, else `CLOZE_PRECISION`'s, else auto.

    auto is the fastest that the device has in hardware.

    Raises:
        ClozeError: there is no such precision, or not on this device.
    """
    name = "--precision" if precision else _VARIABLE
    value = precision or os.environ.get(_VARIABLE) or AUTO
    if value not in (AUTO, *get_args(Precision)):
        raise ClozeError(f"{name} is {value!r}; choose {', '.join(CHOICES)}")
    if value != AUTO:
        return _checked(name, cast(Precision, value), device)
    return _fastest() if device == "cpu" else _of_cuda()


def is_automatic(precision: str | None) -> bool:
    """Tell whether the choice is left to us."""
    return (precision or os.environ.get(_VARIABLE) or AUTO) == AUTO


def has(precision: Precision, device: str) -> bool:
    """Tell whether a device runs a precision in hardware; fp32 always does."""
    if device != "cpu":
        return precision in ("fp32", _of_cuda())
    flags = processor_flags()
    if precision == "int8":
        return bool(flags & _INT8_FLAGS) and can_quantise()
    return precision == "fp32" or (precision == "bf16" and bool(flags & _BF16_FLAGS))


def finer(precision: Precision, device: str) -> Precision:
    """Return the next finer precision that a device has in hardware; that of fp32 is itself."""
    behind = _FASTEST_FIRST[_FASTEST_FIRST.index(precision) + 1 :]
    return next((each for each in behind if has(each, device)), "fp32")


def _checked(name: str, precision: Precision, device: str) -> Precision:
    cuda_only, cpu_only = precision == "fp16", precision == "int8"
    if (device == "cpu" and cuda_only) or (device != "cpu" and cpu_only):
        raise ClozeError(
            f"{name} is {precision}, which there is only on {'CUDA' if cuda_only else 'CPUs'}, the "
            f"device is {device}; use auto"
        )
    if device == "cpu" and precision == "bf16" and not has("bf16", "cpu"):
        raise ClozeError(f"{name} is bf16, which this processor does not have; use auto or fp32")
    return precision


def _fastest() -> Precision:
    return next(precision for precision in _FASTEST_FIRST if has(precision, "cpu"))


def _of_cuda() -> Precision:
    import torch

    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "fp16"


def can_quantise() -> bool:
    """Tell whether the packages that make int8 are there."""
    return all(importlib.util.find_spec(each) is not None for each in ("openvino", "nncf"))


@cache
def processor_flags() -> frozenset[str]:
    """Return the processor's features by Linux's names; none where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
