"""What is left of this machine's memory, what says that it ran out, and what ends a run then."""

from pathlib import Path

from indexer.errors import ClozeError

_MEMINFO = Path("/proc/meminfo")
# A container's own limit, and what of it is used; with version 1 of cgroups the machine's counts.
_CGROUP = Path("/sys/fs/cgroup")
# What torch says where it has no error of its own for memory that ran out.
_NO_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc", "_ALLOC_FAILED")


class MemoryShortError(ClozeError):
    """Memory doesn't hold the least that training needs: of several processes, of this one."""


def is_memory(error: Exception) -> bool:
    """Tell whether an error says that memory ran out, the processor's or the device's."""
    import torch  # not before a run's error is looked at

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(each in str(error) for each in _NO_MEMORY)


def free_bytes() -> int | None:
    """Return how much memory can still be taken, None where the system doesn't tell.

    Linux ends a process that takes more without asking it, so it must be known before.
    """
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return None
    return min(free, _left_of_group(free))


def _left_of_group(otherwise: int) -> int:
    try:
        limit = int((_CGROUP / "memory.max").read_text())  # "max" where there is none
        used = int((_CGROUP / "memory.current").read_text())
        kept = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return limit - used + int(kept["inactive_file"])  # which is given back when asked for
    except (OSError, ValueError, KeyError):
        return otherwise
