"""How much memory a piece of work takes: growth of this process's resident set."""

import ctypes
import gc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_RESET_PEAK = "5"


def with_growth(work: Callable[[], T]) -> tuple[T, float]:
    """Do a piece of work; return what it returns, and the peak of its growth in MiB.

    What earlier work freed is given back to the system first, else it would hide a part of it.

    Raises:
        OSError: the system has no resident peak that can be reset, as Linux has since 4.0.
    """
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc alone has it
        trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write(_RESET_PEAK)
    before = _status("VmRSS")
    result = work()
    return result, round(max(0, _status("VmHWM") - before) / 1024, 1)


def _status(name: str) -> int:
    """Return one of the kibibytes that the system tells of this process."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{name}:"))
